"""Options that `search`, `train` and `compare` share."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

from mango_grader.cli.types import Duration, Fold, Size
from mango_grader.workflow.presets import PRESETS

Function = TypeVar("Function", bound=Callable[..., Any])

_SHARED = (
    click.option("--data", metavar="DIR", help="Folder of graded photos: class folders, or a CSV beside images."),
    click.option("--out", required=True, metavar="DIR", help="Folder for everything that is left behind."),
    click.option("--group-by", metavar="COLUMN|FILE:COLUMN|re:…", help="What never may be split: fruit, plant, day."),
    click.option("--ordinal/--nominal", default=None, help="Whether classes are ordered; told from their names."),
    click.option(
        "--preset",
        type=click.Choice(list(PRESETS)),
        default="quick",
        show_default=True,
        help="; ".join(f"{name}: {preset.help}" for name, preset in PRESETS.items()),
    ),
    click.option("--budget", type=Duration(), metavar="TIME", help="All up to the bundle within TIME: 20m, 1h30m."),
    click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N."),
    click.option("--size", type=Size(), metavar="PIXELS|HxW", help="The network's input; the preset's by default."),
    click.option("--refit", is_flag=True, help="Train the result again, with the validation pictures, too."),
    click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="Any setting: train.epochs=20."),
    click.option("--resume", is_flag=True, help="Continue what was interrupted; --out alone is enough."),
)
_OF_ONE_RUN = (
    click.option("--fold", type=Fold(), metavar="K/N", help="Test on fold K of N (cross-validation)."),
    click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True),
    click.option(
        "--init-from",
        metavar="RUN|NAME",
        help="Start from that run's weights, as far as they fit, or from ImageNet's: efficientnet-lite0.",
    ),
    click.option(
        "--teacher",
        metavar="RUN|FILE|NAME",
        help="Learn from its answers, too: a run, a .mango, any .onnx classifier, or a torchvision model.",
    ),
    click.option(
        "--unlabelled", metavar="DIR", help="Further pictures, of which only the teacher's answers are learned."
    ),
    click.option("--plan-only", is_flag=True, help="Time a few steps, print the plan, and stop."),
)


def run_options(function: Function) -> Function:
    """Add the options of a run."""
    return shared_options(_with(_OF_ONE_RUN, function))


def shared_options(function: Function) -> Function:
    """Add the options that one run and a comparison of many have in common."""
    return _with(_SHARED, function)


def _with(options: Sequence[Callable[[Function], Function]], function: Function) -> Function:
    for option in reversed(options):
        function = option(function)
    return function
