"""Options that say where work is done: on this machine or on a cluster, and what each task takes there."""

import re
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, get_args

import click

from mango_grader.executors import Needs, Site
from mango_grader.executors.site import On

Function = TypeVar("Function", bound=Callable[..., Any])

_BYTES = re.compile(r"(\d{1,15}(?:\.\d{1,3})?)([kMGT]?)i?B?")
_UNITS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}


class Bytes(click.ParamType[int]):
    """8G or 500M → bytes."""

    name = "bytes"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return a number of bytes, 1 or more; fails with a usage message."""
        if isinstance(value, int):
            return value
        parts = _BYTES.fullmatch(value)
        number = round(float(parts[1]) * _UNITS[parts[2]]) if parts else 0
        if number < 1:
            self.fail(f"{value!r} is no amount of memory; write, for example, 8G or 500M", param, ctx)
        return number


def site_options(function: Function) -> Callable[..., Any]:
    """Add `--on`, `--cores`, `--gpus` and `--memory`; the command receives `site: Site`."""

    @wraps(function)
    def with_site(*args: Any, on: On, cores: int | None, gpus: float | None, memory: int | None, **options: Any) -> Any:
        asked = {"cores": cores, "gpus": gpus, "memory": memory}
        given: dict[str, Any] = {name: value for name, value in asked.items() if value is not None}
        return function(*args, site=Site(on, Needs(**given) if given else None), **options)

    command: Callable[..., Any] = with_site
    for option in reversed(_SITE):
        command = option(command)
    return command


_SITE = (
    click.option(
        "--on",
        type=click.Choice(get_args(On)),
        default="local",
        show_default=True,
        help="Where it is done: on this machine, or on the Ray cluster that the variable RAY_ADDRESS names.",
    ),
    click.option("--cores", type=click.IntRange(1), help="CPU cores of each task on Ray.  [default: 1]"),
    click.option("--gpus", type=click.FloatRange(0), help="GPUs of each task on Ray, 0.5 for half of one."),
    click.option("--memory", type=Bytes(), metavar="BYTES", help="Memory of each task on Ray: 8G."),
)
