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
    click.option("--times", metavar="FILE", help="CSV of a folder: name, time (seconds), and perhaps ticks and index."),
    click.option("--hot", is_flag=True, help="Images are still being written into the folder SOURCE; as hot:SOURCE."),
    click.option(
        "--settle", type=float, metavar="S", help="How long a file in a hot folder must not change.  [default: 0.2]"
    ),
    click.option(
        "--timeout", type=float, metavar="S", help="Find a camera again that sends nothing for so long.  [default: 5]"
    ),
    click.option("--encoder", metavar="modbus://HOST/ADDRESS", help="Holding register that counts the belt's ticks."),
    click.option(
        "--stop-after", type=float, metavar="S", help="End a hot folder or a camera without frames for so long."
    ),
    click.option("--stop-file", metavar="FILE", help="End a hot folder or a camera when there is such a file."),
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
