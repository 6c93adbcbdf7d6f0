"""`mango-grader compare`: which method is worth its time on these photos?"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from mango_grader.cli.options import FINISHED_WITH_ERRORS, reporter_option
from mango_grader.cli.run import comparison_folder, moved_places, shared_options
from mango_grader.cli.summary import print_comparison
from mango_grader.progress import Progress
from mango_grader.workflow.comparison import Comparison
from mango_grader.workflow.comparison import compare as run_compare
from mango_grader.workflow.options import SearchOptions


@click.command(short_help="Compare search methods and known networks on your photos, at equal cost.")
@click.option("--methods", metavar="NAME,…", help="METHOD, METHOD/SPACE or a baseline's name, with commas between.")
@click.option(
    "--seeds", type=click.IntRange(1), default=3, show_default=True, help="Runs of each, a seed and fold each."
)
@click.option("--folds", type=click.IntRange(2), default=5, show_default=True, help="Of the one split behind all runs.")
@click.option("--jobs", type=click.IntRange(1), default=1, show_default=True, help="Runs at a time; they share cores.")
@shared_options
@click.option("--max-params", type=click.IntRange(min=1), help="Most parameters that a search's result may have.")
@click.option("--max-macs", type=click.IntRange(min=1), help="Most work per image of such a result, in multiply-adds.")
@reporter_option
def compare(
    out: str | None,
    resume: bool,
    data: str | None,
    methods: str | None,
    seeds: int,
    folds: int,
    jobs: int,
    reporter: Callable[[], Progress],
    **options: Any,
) -> None:
    """Compare search methods and known networks on your photos, each run within the same --budget.

    Every run is a run folder below --out. comparison.html there has the table, the curves and the differences. An
    interrupted comparison goes on with --resume and --out. A run that fails is listed and stops no other; the
    exit code is then 3.
    """
    moved = moved_places(out, resume)
    if moved is None and (data is None) != (methods is None):
        raise click.UsageError("--data and --methods go together")
    asked = None
    if data is not None and methods is not None:
        told = SearchOptions(data=str(Path(data).resolve()), **options)
        asked = Comparison(tuple(each for each in methods.split(",") if each.strip()), told, seeds, folds, jobs)
    with comparison_folder(out, data, resume) as path:
        folder = run_compare(path, asked, resume=resume, reporter=reporter, data=moved.data if moved else None)
    print_comparison(folder)
    raise click.exceptions.Exit(FINISHED_WITH_ERRORS if folder.failures else 0)
