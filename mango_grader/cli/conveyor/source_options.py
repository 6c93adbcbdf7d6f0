"""SOURCE and its options, the same for every command that reads frames."""

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

import click

Function = TypeVar("Function", bound=Callable[..., Any])

_OPTIONS: tuple[Callable[[Any], Any], ...] = (
    click.option(
        "--fps", type=float, metavar="N", help="Frames per second, where neither names nor files tell their times."
    ),
    click.option("--times", metavar="FILE", help="CSV with the columns name and time (seconds), and perhaps ticks."),
)


def source_argument(function: Function) -> Function:
    """Add SOURCE and its options; the command receives `source`, an open `Source`."""

    @wraps(function)
    def opened(*args: Any, source: str, **values: Any) -> Any:
        from dataclasses import fields

        from mango_grader.line.sources.opening import SourceOptions, open_source

        names = [each.name for each in fields(SourceOptions)]
        options = SourceOptions(**{name: values.pop(name) for name in names})
        return function(*args, source=open_source(source, options), **values)

    decorated: Any = opened
    for option in reversed(_OPTIONS):
        decorated = option(decorated)
    added: Function = click.argument("source", metavar="SOURCE")(decorated)
    return added
