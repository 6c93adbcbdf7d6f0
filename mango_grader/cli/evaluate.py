"""`mango-grader evaluate`: a model against graded photos, exit by exit."""

import click

from mango_grader.cli.options import (
    FINISHED_WITH_ERRORS,
    json_option,
    model_option,
    print_json,
    progress_option,
    provider_option,
)
from mango_grader.cli.summary import print_measured
from mango_grader.files import write_json
from mango_grader.progress import Progress
from mango_grader.workflow.evaluate import evaluate as run_evaluate


@click.command(short_help="Measure a model on graded photos, exit by exit.")
@model_option
@click.option("--data", required=True, metavar="DIR", help="Folder of graded photos.")
@click.option("--group-by", metavar="COLUMN|FILE:COLUMN|re:…", help="What belongs together in the intervals.")
@click.option("--split", metavar="FILE", help="split.json of a run: measure only on its test part.")
@click.option("--out", metavar="FILE", help="Write the figures as JSON.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the bootstrap.")
@provider_option
@json_option
@progress_option
def evaluate(
    model: str,
    data: str,
    group_by: str | None,
    split: str | None,
    out: str | None,
    seed: int,
    provider: str,
    as_json: bool,
    progress: Progress,
) -> None:
    """Measure a model on graded photos, exit by exit and under its policies.

    Classes are matched by name. Pictures that cannot be read are listed and left out; the exit code is then 3.
    """
    result = run_evaluate(model, data, group_by, split, seed, provider, progress)
    if out is not None:
        write_json(out, result.to_dict())
    if as_json:
        print_json(result.to_dict())
    else:
        print_measured(result.measured)
        for path, reason in result.errors.items():
            click.echo(f"left out {path}: {reason}", err=True)
    raise click.exceptions.Exit(FINISHED_WITH_ERRORS if result.errors else 0)
