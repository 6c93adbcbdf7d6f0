"""`mango-grader search`: from graded photos to a searched, trained, calibrated, exported classifier."""

from typing import Any

import click

from mango_grader.automl.methods import METHODS
from mango_grader.automl.spaces import SPACES
from mango_grader.cli.options import progress_option
from mango_grader.cli.run import moved_places, run_folder, run_options
from mango_grader.cli.summary import print_run
from mango_grader.progress import Progress
from mango_grader.workflow.options import SearchOptions
from mango_grader.workflow.search import search as run_search


@click.command(short_help="Search an architecture for your photos; train, calibrate and export it.")
@run_options
@click.option("--method", type=click.Choice(list(METHODS)), default="random", show_default=True)
@click.option(
    "--space", type=click.Choice(list(SPACES)), help="What is searched; the space of the method's paper unless named."
)
@click.option("--metric", type=click.Choice(["accuracy", "balanced_accuracy", "kappa"]), default="accuracy")
@click.option(
    "--over",
    type=click.Choice(["last", "mean", "area"]),
    default="mean",
    help="Whose score is sought: the last exit's, all exits' mean, or the average over budgets of work (area).",
)
@click.option(
    "--cost",
    type=click.Choice(["macs", "latency"]),
    default="macs",
    help="What the search counts as cost: work in multiply-adds (macs), or latency measured on this host.",
)
@click.option("--max-params", type=click.IntRange(min=1), help="Most parameters that the result may have.")
@click.option("--max-macs", type=click.IntRange(min=1), help="Most work per image, in multiply-adds.")
@click.option(
    "--max-latency",
    type=click.FloatRange(min=0, min_open=True),
    metavar="MS",
    help="Most milliseconds per image, on this host's processor, on one thread.",
)
@progress_option
def search(
    out: str | None, resume: bool, plan_only: bool, data: str | None, progress: Progress, **options: Any
) -> None:
    """Search an architecture for your photos; train, calibrate and export it.

    The run folder holds report.html to look at and model.mango to grade with. An interrupted run goes on with
    --resume and --out, to the same result; --data, --teacher, --unlabelled and --init-from say where that is now, if it
    was moved.

    Exit code 3 says that the model is no better than guessing.
    """
    moved = moved_places(out, resume)
    config = None if data is None or moved is not None else SearchOptions(data=data, **options).config()
    with run_folder(out, data, resume) as path:
        folder = run_search(path, config, resume=resume, plan_only=plan_only, progress=progress, moved=moved)
    if not plan_only:
        raise click.exceptions.Exit(print_run(folder))
