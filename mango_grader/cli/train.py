"""`mango-grader train`: a known network on new photos, without a search."""

from typing import Any

import click

from mango_grader.cli.options import progress_option
from mango_grader.cli.run import moved_places, run_folder, run_options
from mango_grader.cli.summary import print_run
from mango_grader.models.baselines import BASELINES
from mango_grader.progress import Progress
from mango_grader.workflow.options import TrainOptions
from mango_grader.workflow.train import train as run_train


@click.command(short_help="Train a known network on new photos, without a search.")
@run_options
@click.option("--architecture", metavar="FILE", help="The architecture.json of a search.")
@click.option("--baseline", type=click.Choice(sorted(BASELINES)), help="A published network, to compare with.")
@progress_option
def train(out: str | None, resume: bool, plan_only: bool, data: str | None, progress: Progress, **options: Any) -> None:
    """Train a known network on new photos; calibrate and export it as search does.

    An interrupted run continues with --resume and --out, to the same result; with --data, --teacher, --unlabelled and
    --init-from you name the new place of what was moved.

    Exit code 3 means that the model is no better than guessing.
    """
    moved = moved_places(out, resume)
    config = None if data is None or moved is not None else TrainOptions(data=data, **options).config()
    with run_folder(out, data, resume) as path:
        folder = run_train(path, config, resume=resume, plan_only=plan_only, progress=progress, moved=moved)
    if not plan_only:
        raise click.exceptions.Exit(print_run(folder))
