"""Options of `search`, `train` and `compare`, their value types, and the headings under which help lists them."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import click

from mango_grader.cli.options import group_by_or_found_option, labels_option, ordinal_option
from mango_grader.errors import UsageError
from mango_grader.text import seconds_in
from mango_grader.workflow.presets import PRESET_HELP, PRESETS

Function = TypeVar("Function", bound=Callable[..., Any])

_NUMBER = re.compile(r"(\d{1,12}(?:\.\d{1,6})?)([kKmM]?)")
_UNITS = {"": 1, "k": 1_000, "m": 1_000_000}


class Duration(click.ParamType[float]):
    """20m, 90s, 1h30m → seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return seconds; fails with a usage message."""
        if isinstance(value, float):
            return value
        try:
            return seconds_in(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


class Fold(click.ParamType[tuple[int, int]]):
    """2/5 → (2, 5): the second of five folds."""

    name = "fold"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        """Return (K, N) with 1 ≤ K ≤ N, N ≥ 2; fails with a usage message."""
        if isinstance(value, tuple):
            return value
        from mango_grader.datasets import parse_fold

        try:
            return parse_fold(value)
        except UsageError as error:
            self.fail(str(error), param, ctx)


class Size(click.ParamType[tuple[int, int]]):
    """128 or 120x160 → (height, width) in pixels."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        """Return two numbers of at least 8; fails with a usage message."""
        if isinstance(value, tuple):
            return value
        numbers = value.lower().split("x")
        if len(numbers) > 2 or not all(number.isdigit() and int(number) >= 8 for number in numbers):
            self.fail(
                f"{value!r} is not a size; write pixels (8 or more) or HxW, for example 128 or 120x160", param, ctx
            )
        return int(numbers[0]), int(numbers[-1])


class Limit(click.ParamType[int | str]):
    """13000000, 13M or 350k → a number; "none" is itself, where it means something.

    Args:
        none: whether "none" does.
    """

    name = "limit"

    def __init__(self, *, none: bool = False) -> None:
        self._none = none

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | str:
        """Return 1 or more, or "none"; fails with a usage message."""
        if isinstance(value, int):
            return value
        if self._none and value == "none":
            return "none"
        parts = _NUMBER.fullmatch(value)
        number = float(parts[1]) * _UNITS[parts[2].lower()] if parts else 0.0
        if number < 1 or not number.is_integer():
            kinds = "13000000, 13M, 350k or none" if self._none else "350000, 350k or 1M"
            self.fail(f"{value!r} is no limit of 1 or more; write, for example, {kinds}", param, ctx)
        return int(number)


class RunCommand(click.Command):
    """A command whose help lists its options under headings."""

    HEADINGS: Mapping[str, Sequence[str]] = {
        "Data": ("data", "group_by", "ordinal", "labels", "fold", "folds", "unlabelled"),
        "Search": ("method", "methods", "space", "metric", "over", "cost"),
        "Limits on the result": ("max_params", "max_macs", "max_latency"),
        "Training": ("architecture", "baseline", "init_from", "teacher", "retrain_on_all"),
        "Settings": ("preset", "settings", "size", "seed", "seeds"),
        "Running": ("out", "budget", "plan_only", "resume", "jobs", "on", "cores", "gpus", "memory", "device"),
    }

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options heading by heading, those without one last."""
        left = {str(option.name): option.get_help_record(ctx) for option in self.get_params(ctx)}
        headed = {heading: [left.pop(name, None) for name in names] for heading, names in self.HEADINGS.items()}
        for heading, records in {**headed, "Other options": list(left.values())}.items():
            if written := [record for record in records if record is not None]:
                with formatter.section(heading):
                    formatter.write_dl(written)


_SHARED = (
    click.option("--data", metavar="DIR", help="Folder of graded photos: a folder per class, or a CSV and images."),
    click.option("--out", metavar="DIR", help="Output directory.  [default: runs/NAME-DATE]"),
    group_by_or_found_option,
    ordinal_option,
    labels_option,
    click.option(
        "--preset",
        type=click.Choice(list(PRESETS)),
        default="quick",
        show_default=True,
        help="; ".join(f"{name} ({says})" for name, says in PRESET_HELP.items()),
    ),
    click.option(
        "--budget", type=Duration(), metavar="TIME", help="Time limit for everything, export included: 20m, 1h30m."
    ),
    click.option(
        "--device", default="auto", show_default=True, help="Where networks are trained: auto, cpu, cuda or cuda:N."
    ),
    click.option(
        "--size", type=Size(), metavar="PIXELS|HxW", help="Size of the network's input.  [default: the preset's]"
    ),
    click.option(
        "--retrain-on-all",
        "--refit",
        "retrain_on_all",
        is_flag=True,
        help="Train the result a second time, on training and validation images together.",
    ),
    click.option(
        "--set", "settings", multiple=True, metavar="NAME=VALUE", help="Change any setting, such as train.epochs=20."
    ),
    click.option("--resume", is_flag=True, help="Continue an interrupted run; only --out is needed."),
)
_OF_ONE_RUN = (
    click.option("--fold", type=Fold(), metavar="K/N", help="Test on fold K of N (cross-validation)."),
    click.option(
        "--seed",
        type=click.IntRange(min=0),
        default=0,
        show_default=True,
        help="Random seed of the split, the search and the training.",
    ),
    click.option(
        "--init-from",
        metavar="RUN|NAME",
        default="auto",
        show_default=True,
        help="Start from the weights of a run, as far as they fit, or from ImageNet's (efficientnet-lite0). auto takes"
        " these where there are some for the space (lite) or the baseline; none starts afresh.",
    ),
    click.option(
        "--teacher",
        metavar="auto|none|RUN|FILE|NAME",
        help="Also learn from a teacher's answers: a run, a .mango or .onnx file, efficientnet-lite0, or a torchvision"
        " model. auto takes efficientnet-lite0 as far as there are time and memory.  [default: auto to search (presets"
        " quick and standard), else none]",
    ),
    click.option(
        "--unlabelled",
        metavar="DIR",
        help="Folder of ungraded images; the network learns the teacher's answers to them.",
    ),
    click.option("--plan-only", is_flag=True, help="Time a few steps, print the budget plan and stop."),
)
_SIZE_LIMITS = (
    click.option(
        "--max-params", type=Limit(), metavar="N", help="Limit on the parameters of a searched network: 350000 or 350k."
    ),
    click.option(
        "--max-macs",
        type=Limit(none=True),
        metavar="N|none",
        help="Limit on its multiply-adds per image: 13000000 or 13M.  [default: the preset's, where no limit is given]",
    ),
)


def run_options(function: Function) -> Function:
    """Add the options of a run."""
    return shared_options(_with(_OF_ONE_RUN, function))


def shared_options(function: Function) -> Function:
    """Add the options that one run and a comparison of many have in common."""
    return _with(_SHARED, function)


def size_limit_options(function: Function) -> Function:
    """Add the limits that a search and a comparison of searches have in common."""
    return _with(_SIZE_LIMITS, function)


def _with(options: Sequence[Callable[[Function], Function]], function: Function) -> Function:
    for option in reversed(options):
        function = option(function)
    return function
