"""`mango-grader conveyor replay`: the decisions of a log once more, from recorded frames."""

import click

from mango_grader.cli.options import progress_option
from mango_grader.progress import Progress


@click.command()
@click.argument("log", metavar="LOG")
@click.option("--frames", metavar="DIR", help="Frames that `run --record DIR` kept.  [default: the source of the run]")
@click.option("--model", metavar="MODEL", help="The .mango file.  [default: the copy in the log]")
@progress_option
def replay(log: str, frames: str | None, model: str | None, progress: Progress) -> None:
    """Make the decisions of a log again, bit for bit, and compare them.

    LOG is the folder FILE.log beside the --out FILE of `conveyor run`. How far grading came in the time that it had is
    taken from the log, so that a run with --realtime can be replayed, too.

    Exit code 1 means that something comes out differently; the message names the first line of the log that differs.
    """
    from mango_grader.line import LogFolder
    from mango_grader.line.replaying import replay as repeat
    from mango_grader.text import one_line

    tally = repeat(LogFolder(log), frames, model, progress)
    click.echo(f"{one_line(log)}: the same once more, {tally}")
