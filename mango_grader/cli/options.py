"""Options and exit codes that several commands share, so that they read and behave the same."""

from collections.abc import Callable
from functools import partial
from typing import Any, NoReturn, TypeVar

import click

from mango_grader.files import to_json
from mango_grader.progress import Mode, Progress, make_progress

Function = TypeVar("Function", bound=Callable[..., Any])

FINISHED_WITH_ERRORS = 3


def finish(sound: bool) -> NoReturn:
    """End the command: exit code 0, or 3 where it is done but something in it is not sound."""
    raise click.exceptions.Exit(0 if sound else FINISHED_WITH_ERRORS)


def progress_option(function: Function) -> Function:
    """Add `--progress`; the command receives `progress: Progress`."""
    return _progress(make_progress)(function)


def reporter_option(function: Function) -> Function:
    """Add `--progress`; the command receives `reporter`, a function that makes a `Progress` in any process."""
    return _progress(lambda mode: partial(make_progress, mode), "reporter")(function)


def _progress(make: Callable[[Mode], object], name: str = "progress") -> Callable[[Function], Function]:
    def convert(_ctx: click.Context, _parameter: click.Parameter, value: Any) -> object:
        return make(value)

    return click.option(
        "--progress",
        name,
        type=click.Choice(["auto", "bar", "plain", "json", "none"]),
        default="auto",
        show_default=True,
        callback=convert,
        help="How to show progress on standard error.",
    )


def group_by_option(function: Function) -> Function:
    """Add `--group-by`; the command receives `group_by: str | None`."""
    return _group_by("")(function)


def group_by_or_found_option(function: Function) -> Function:
    """Add `--group-by` to a command that finds photos of the same fruit where it is not given."""
    return _group_by("  [default: photos of the same fruit are found]")(function)


def _group_by(default: str) -> Callable[[Function], Function]:
    return click.option(
        "--group-by",
        metavar="COLUMN|FILE:COLUMN|re:…|none",
        help="Which photos belong together (one fruit, plant or day): a column of the label CSV or of another CSV, or "
        "a pattern on file names; none: each is by itself. They are never split between training and test." + default,
    )


def labels_option(function: Function) -> Function:
    """Add `--labels`; the command receives `labels: str | None`."""
    return click.option(
        "--labels",
        metavar="FILE",
        help="Reviewed labels, as `data suspects` writes them: they correct the folder's own, and leave out unusable "
        "images.",
    )(function)


def ordinal_option(function: Function) -> Function:
    """Add `--ordinal/--nominal`; the command receives `ordinal: bool | None`."""
    return click.option(
        "--ordinal/--nominal", default=None, help="Whether classes are ordered.  [default: decided by their names]"
    )(function)


def json_option(function: Function) -> Function:
    """Add `--json`; the command receives `as_json: bool`."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(function)


def model_option(function: Function) -> Function:
    """Add the required `--model`; the command receives `model: str`."""
    return click.option(
        "--model", required=True, metavar="MODEL", help="A .mango file, or the folder of a finished run."
    )(function)


def policy_option(use: str) -> Callable[[Function], Function]:
    """Return a decorator that adds `--policy`; the command receives `policy: str | None`.

    Args:
        use: what the command does with the exit policy, as help says it.
    """
    return click.option(
        "--policy", metavar="full|exit:K|threshold|budget:40%|risk|deadline:25ms", help=f"{use}  [default: the model's]"
    )


def decide_option(use: str) -> Callable[[Function], Function]:
    """Return a decorator that adds `--decide`; the command receives `decide: str | None`.

    Args:
        use: what the command does with the decision rule, as help says it.
    """
    return click.option(
        "--decide", metavar="argmax|cost:FILE|cost:ordinal|conformal:alpha=0.05", help=f"{use}  [default: the model's]"
    )


def precision_option(function: Function) -> Function:
    """Add `--precision`; the command receives `precision: str`, see `chosen_precision`."""
    return click.option(
        "--precision",
        type=click.Choice(["fp32", "int8", "auto"]),
        default="fp32",
        show_default=True,
        help="Precision of the stages; auto is int8 where bench found it faster here and few grades change, else fp32.",
    )(function)


def chosen_precision(model: str, provider: str, precision: str, progress: Progress) -> str:
    """Return "fp32" or "int8"; where that is chosen for this host, report why.

    Args:
        model: a .mango file, or the folder of a finished run.
        provider: "auto", "cpu" or "cuda".
        precision: "fp32", "int8" or "auto".
        progress: where to report to.
    """
    if precision != "auto":
        return precision
    from mango_grader.runtime.bundle.archive import Bundle
    from mango_grader.runtime.inference.precision import choose_precision

    choice = choose_precision(Bundle.open(model), provider)
    progress.note(f"precision {choice}")
    return choice.precision


def provider_option(function: Function) -> Function:
    """Add `--provider`; the command receives `provider: str`."""
    return click.option(
        "--provider",
        type=click.Choice(["auto", "cpu", "cuda"]),
        default="auto",
        show_default=True,
        help="What onnxruntime runs on; auto is CUDA if onnxruntime-gpu is installed, else the CPU.",
    )(function)


def print_json(value: Any) -> None:
    """Print `value` as indented JSON on standard output."""
    click.echo(to_json(value, indent=2, ensure_ascii=False))
