"""Options that `search` and `train` share."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from mango_grader.cli.types import Duration, Fold, Size
from mango_grader.workflow.presets import PRESETS

Function = TypeVar("Function", bound=Callable[..., Any])

_OPTIONS = (
    click.option("--data", metavar="DIR", help="Folder of graded photos: class folders, or a CSV beside images."),
    click.option("--out", required=True, metavar="RUN", help="Folder for everything the run leaves behind."),
    click.option("--group-by", metavar="COLUMN|FILE:COLUMN|re:…", help="What never may be split: fruit, plant, day."),
    click.option("--ordinal/--nominal", default=None, help="Whether classes are ordered; told from their names."),
    click.option("--fold", type=Fold(), metavar="K/N", help="Test on fold K of N (cross-validation)."),
    click.option(
        "--preset",
        type=click.Choice(list(PRESETS)),
        default="quick",
        show_default=True,
        help="; ".join(f"{name}: {preset.help}" for name, preset in PRESETS.items()),
    ),
    click.option("--budget", type=Duration(), metavar="TIME", help="All up to the bundle within TIME: 20m, 1h30m."),
    click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True),
    click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N."),
    click.option("--size", type=Size(), metavar="PIXELS|HxW", help="The network's input; the preset's by default."),
    click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="Any setting: train.epochs=20."),
    click.option("--resume", is_flag=True, help="Continue an interrupted run; --out alone is enough."),
    click.option("--plan-only", is_flag=True, help="Time a few steps, print the plan, and stop."),
)


def run_options(function: Function) -> Function:
    """Add the options of a run."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function
