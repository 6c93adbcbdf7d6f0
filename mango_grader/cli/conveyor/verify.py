"""`mango-grader conveyor verify`: is a log what was written?"""

import click


@click.command()
@click.argument("log", metavar="LOG")
def verify(log: str) -> None:
    """Check a log: no line was changed, is missing or comes twice, and the end is there.

    LOG is the folder FILE.log beside the --out FILE of `conveyor run`. The seal that is printed stands for the whole
    log: written down elsewhere, it shows later whether somebody made the log anew.

    Exit code 1 means that something is wrong; the message names the line.
    """
    from mango_grader.line import LogFolder
    from mango_grader.text import counted, one_line

    found = LogFolder(log).verify()
    ended = "" if found.ended else "; the run has not ended: it goes on, or it was interrupted"
    click.echo(
        f"{one_line(log)}: {counted(found.lines, 'line')}, {counted(found.decisions, 'decision')}, intact{ended}"
    )
    click.echo(f"seal: {found.seal}")
