"""Options that several commands share, so that they read and behave the same."""

import json
from collections.abc import Callable
from typing import Any, TypeVar

import click

from mango_grader.progress import Progress, make_progress

Function = TypeVar("Function", bound=Callable[..., Any])
Decorator = Callable[[Function], Function]

FINISHED_WITH_ERRORS = 3


def progress_option(function: Function) -> Function:
    """Add `--progress`; the command receives `progress: Progress`."""

    def make(_ctx: click.Context, _parameter: click.Parameter, value: Any) -> Progress:
        return make_progress(value)

    return click.option(
        "--progress",
        type=click.Choice(["auto", "bar", "plain", "json", "none"]),
        default="auto",
        show_default=True,
        callback=make,
        help="How to show progress on standard error.",
    )(function)


def json_option(function: Function) -> Function:
    """Add `--json`; the command receives `as_json: bool`."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(function)


def model_option(function: Function) -> Function:
    """Add the required `--model`; the command receives `model: str`."""
    return click.option("--model", required=True, metavar="MODEL", help="A .mango file.")(function)


def provider_option(function: Function) -> Function:
    """Add `--provider`; the command receives `provider: str`."""
    return click.option(
        "--provider",
        type=click.Choice(["auto", "cpu", "cuda"]),
        default="auto",
        show_default=True,
        help="Where onnxruntime runs; auto is CUDA where onnxruntime-gpu is installed.",
    )(function)


def print_json(value: Any) -> None:
    """Print `value` as indented JSON on standard output."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))
