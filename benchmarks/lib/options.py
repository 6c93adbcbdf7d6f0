"""Options that several benchmarks have alike."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from benchmarks.lib.measurements import RESULTS

F = TypeVar("F", bound=Callable[..., Any])


def measurement_options(benchmark: str, minutes: float, jobs: int = 2) -> Callable[[F], F]:
    """Return the decorator that gives a script's command --minutes, --jobs, --resume and --out."""
    out = click.Path(path_type=Path)
    return _together(
        click.option("--minutes", type=float, default=minutes, show_default=True, help="Start no measurement later."),
        click.option("--jobs", type=click.IntRange(1), default=jobs, show_default=True, help="Measurements at a time."),
        click.option("--resume", is_flag=True, help="Measure what --out lacks."),
        click.option("--out", type=out, default=RESULTS / f"{benchmark}.json", help="The JSON file."),
    )


def fold_options(command: F) -> F:
    """Give a script's command --data, --group-by and --folds: by default the mangoes with lesions, in five folds."""
    decorate = _together(
        click.option("--data", default="../shared/data/mango_lesions", show_default=True),
        click.option("--group-by", default="groups.csv:fruit", show_default=True),
        click.option("--folds", type=click.IntRange(2), default=5, show_default=True),
    )
    return decorate(command)


def _together(*options: Callable[[Any], Any]) -> Callable[[F], F]:
    """Return one decorator for several options; help lists them in this order."""

    def decorate(command: F) -> F:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate
