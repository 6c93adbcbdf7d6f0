"""`mango-grader compare`: search methods and known networks on the same photos."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from mango_grader.cli.options import finish, reporter_option
from mango_grader.cli.run_folder import comparison_folder, moved_places
from mango_grader.cli.run_options import RunCommand, shared_options, size_limit_options
from mango_grader.cli.sites import site_options
from mango_grader.executors import Site
from mango_grader.progress import Progress


@click.command(cls=RunCommand)
@click.option(
    "--methods", metavar="NAME,…", help="What to compare, separated by commas: METHOD, METHOD/SPACE or a baseline."
)
@click.option(
    "--seeds",
    type=click.IntRange(1),
    default=3,
    show_default=True,
    help="Runs of each entry; each run has its own seed and fold.",
)
@click.option(
    "--folds", type=click.IntRange(2), default=5, show_default=True, help="Folds of the split that all runs share."
)
@click.option(
    "--jobs", type=click.IntRange(1), default=1, show_default=True, help="Runs side by side; they share the cores."
)
@site_options
@shared_options
@size_limit_options
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
    site: Site,
    **options: Any,
) -> None:
    """Compare search methods and known networks on your photos, each run within the same --budget.

    Every run has a folder of its own in the output directory, whose comparison.html shows ranking, curves and
    differences. --resume with --out continues an interrupted comparison. A failed run is listed, and the others
    continue; the exit code is then 3.

    With --on ray, the photos and the output directory must lie where all machines
    of the cluster see them.
    """
    from mango_grader.cli.summary import print_comparison
    from mango_grader.workflow.comparison import Comparison
    from mango_grader.workflow.comparison import compare as run_compare
    from mango_grader.workflow.options import SearchOptions

    if site.on == "ray" and jobs > 1:
        raise click.UsageError("--jobs would be ignored: on Ray as many runs go on as fit; state --cores instead")
    moved = moved_places(out, resume)
    if moved is None and (data is None) != (methods is None):
        raise click.UsageError("--data and --methods go together")
    asked = None
    if data is not None and methods is not None:
        labels = options.pop("labels")
        labels = labels and str(Path(labels).resolve())
        told = SearchOptions(data=str(Path(data).resolve()), labels=labels, **options)
        asked = Comparison(tuple(each for each in methods.split(",") if each.strip()), told, seeds, folds, jobs)
    with comparison_folder(out, data, resume) as path:
        folder = run_compare(
            path, asked, resume=resume, reporter=reporter, data=moved.data if moved else None, site=site
        )
    print_comparison(folder)
    finish(not folder.failures)
