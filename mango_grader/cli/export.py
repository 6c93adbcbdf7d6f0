"""`mango-grader export`: write a run's model as one file again."""

import click

from mango_grader.cli.options import progress_option
from mango_grader.progress import Progress
from mango_grader.runtime.grading.outputs import BUNDLE, check_replaceable
from mango_grader.workflow.finalize import export_run


@click.command(short_help="Write a run's model as one .mango file.")
@click.argument("run", metavar="RUN")
@click.option("--out", metavar="FILE", help="File to write.  [default: RUN/model.mango]")
@click.option("--data", metavar="DIR", help="Where the run's photos are now, if they were moved.")
@progress_option
def export(run: str, out: str | None, data: str | None, progress: Progress) -> None:
    """Write the trained model of RUN as one .mango file, checked against torch on every exit."""
    if out is not None:
        check_replaceable(out, BUNDLE)
    click.echo(export_run(run, out, data, progress))
