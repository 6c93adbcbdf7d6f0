"""`mango-grader search`, `train` and `export`: from graded photos to a run folder and its model."""

from typing import Any

import click

from mango_grader.automl.methods import METHODS
from mango_grader.automl.spaces import SPACES
from mango_grader.cli.options import finish, progress_option
from mango_grader.cli.run_folder import moved_places, run_folder
from mango_grader.cli.run_options import RunCommand, run_options, size_limit_options
from mango_grader.models.baselines import BASELINES
from mango_grader.progress import Progress


@click.command(cls=RunCommand)
@run_options
@click.option(
    "--method", type=click.Choice(list(METHODS)), default="random", show_default=True, help="The search method."
)
@click.option(
    "--space",
    type=click.Choice(list(SPACES)),
    help="The search space.  [default: that of the method's paper; lite for random]",
)
@click.option(
    "--metric",
    type=click.Choice(["accuracy", "balanced_accuracy", "kappa"]),
    default="accuracy",
    show_default=True,
    help="What the search maximises.",
)
@click.option(
    "--over",
    type=click.Choice(["last", "mean", "area"]),
    default="mean",
    show_default=True,
    help="How the scores of the exits are combined: the last one, their mean, or the area under the curve over cost.",
)
@click.option(
    "--cost",
    type=click.Choice(["macs", "latency"]),
    default="macs",
    show_default=True,
    help="Cost of a network: its multiply-adds (macs), or its latency, measured on this machine.",
)
@size_limit_options
@click.option(
    "--max-latency",
    type=click.FloatRange(min=0, min_open=True),
    metavar="MS",
    help="Limit on its milliseconds per image, on one thread of this machine's processor.",
)
@progress_option
def search(
    out: str | None, resume: bool, plan_only: bool, data: str | None, progress: Progress, **options: Any
) -> None:
    """Search for a network that fits your photos; train, calibrate and export it.

    The output directory holds report.html to look at and model.mango to grade with. An interrupted run continues with
    --resume and --out, to the same result; if anything was moved, pass its new place with --data,
    --teacher, --unlabelled or --init-from.

    Limits are hard: the search fails if no architecture satisfies them. Exit code 3 means that the model is no better
    than guessing.
    """
    from mango_grader.cli.summary import print_run
    from mango_grader.workflow.options import SearchOptions
    from mango_grader.workflow.search import search as run_search

    moved, world = moved_places(out, resume), click.get_current_context().obj
    config = None if data is None or moved is not None else SearchOptions(data=data, **options).config()
    with run_folder(out, data, resume) as path:
        folder = run_search(
            path, config, resume=resume, plan_only=plan_only, progress=progress, moved=moved, world=world
        )
    if not plan_only:
        finish(print_run(folder))


@click.command(cls=RunCommand)
@run_options
@click.option(
    "--architecture",
    metavar="FILE",
    help="The architecture.json of a search; --set space.NAME=VALUE trains it in another size.",
)
@click.option("--baseline", type=click.Choice(sorted(BASELINES)), help="A published network, to compare with.")
@progress_option
def train(out: str | None, resume: bool, plan_only: bool, data: str | None, progress: Progress, **options: Any) -> None:
    """Train a known network on new photos; calibrate and export it as search does.

    An interrupted run continues with --resume and --out, to the same result; if anything was moved, pass its new place
    with --data, --teacher, --unlabelled or --init-from.

    Exit code 3 means that the model is no better than guessing.
    """
    from mango_grader.cli.summary import print_run
    from mango_grader.workflow.options import TrainOptions
    from mango_grader.workflow.train import train as run_train

    moved, world = moved_places(out, resume), click.get_current_context().obj
    config = None if data is None or moved is not None else TrainOptions(data=data, **options).config()
    with run_folder(out, data, resume) as path:
        folder = run_train(
            path, config, resume=resume, plan_only=plan_only, progress=progress, moved=moved, world=world
        )
    if not plan_only:
        finish(print_run(folder))


@click.command()
@click.argument("run", metavar="RUN")
@click.option("--out", metavar="FILE", help="File to write.  [default: RUN/model.mango]")
@click.option("--data", metavar="DIR", help="Where the run's photos are now, if they were moved.")
@progress_option
def export(run: str, out: str | None, data: str | None, progress: Progress) -> None:
    """Write the trained model of RUN as one .mango file, checked against torch on every exit."""
    from mango_grader.runtime.grading.outputs import BUNDLE, check_replaceable
    from mango_grader.workflow.finalize import export_run

    if out is not None:
        check_replaceable(out, BUNDLE)
    click.echo(export_run(run, out, data, progress))
