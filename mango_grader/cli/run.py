"""Options that `search` and `train` share, and the configuration that they describe."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from mango_grader.cli.types import Duration, Fold
from mango_grader.workflow.config import DataConfig, RunConfig
from mango_grader.workflow.presets import PRESETS

Function = TypeVar("Function", bound=Callable[..., Any])

_OPTIONS = (
    click.option("--data", metavar="DIR", help="Folder of graded photos: class folders, or a CSV beside images."),
    click.option("--out", required=True, metavar="RUN", help="Folder for everything the run leaves behind."),
    click.option("--group-by", metavar="COLUMN|FILE:COLUMN|re:…", help="What never may be split: fruit, plant, day."),
    click.option("--ordinal/--nominal", default=None, help="Whether classes are ordered; told from their names."),
    click.option("--fold", type=Fold(), metavar="K/N", help="Test on fold K of N (cross-validation)."),
    click.option("--preset", type=click.Choice(list(PRESETS)), default="quick", show_default=True),
    click.option("--budget", type=Duration(), metavar="TIME", help="All up to the bundle within TIME: 20m, 1h30m."),
    click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True),
    click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N."),
    click.option("--size", metavar="PIXELS|HxW", help="Input size of the network; the preset's by default."),
    click.option("--set", "assignments", multiple=True, metavar="NAME=VALUE", help="Any setting: train.epochs=20."),
    click.option("--resume", is_flag=True, help="Continue an interrupted run."),
)


def run_options(function: Function) -> Function:
    """Add the options of a run."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def base_config(
    *,
    data: str,
    group_by: str | None,
    ordinal: bool | None,
    fold: tuple[int, int] | None,
    preset: str,
    budget: float | None,
    seed: int,
    device: str,
    size: str | None,
) -> RunConfig:
    """Return the preset's configuration for these options, with nothing to search or train yet."""
    chosen = PRESETS[preset]
    height, width = _size(size) if size else (chosen.height, chosen.width)
    source = DataConfig(data, group_by, ordinal, fold, 0, height, width, chosen.rotate_portrait)
    return RunConfig(source, chosen.train, chosen.augment, preset, seed, device, budget)


def _size(text: str) -> tuple[int, int]:
    numbers = text.lower().split("x")
    if len(numbers) > 2 or not all(number.isdigit() and int(number) >= 8 for number in numbers):
        raise click.BadParameter(f"{text!r} is no size; write pixels or HxW, for example 128 or 120x160")
    return int(numbers[0]), int(numbers[-1])
