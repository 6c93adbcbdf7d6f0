"""`mango-grader conveyor report`: the lot report of a run, as one HTML page."""

import click

from mango_grader.cli.options import finish


@click.command()
@click.argument("log", metavar="LOG")
@click.option("--out", required=True, metavar="FILE", help="Write the page to FILE, .html.")
def report(log: str, out: str) -> None:
    """Write the lot report of LOG, the log folder of a run that has ended or goes on.

    The page needs no other file and no network. Exit code 3 means that something is wrong; the page says it at its top.
    """
    from mango_grader.line.log import LogFolder
    from mango_grader.line.report import what_is_wrong, write_report

    wrong = what_is_wrong(write_report(LogFolder(log), out))
    for line in wrong:
        click.echo(line, err=True)
    finish(not wrong)
