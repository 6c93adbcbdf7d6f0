"""`mango-grader sweep`: the same methods on several data sets, each within several limits."""

import shlex
from collections.abc import Callable
from pathlib import Path

import click

from mango_grader.cli.interrupts import resumable
from mango_grader.cli.options import finish, reporter_option
from mango_grader.cli.sites import site_options
from mango_grader.errors import UsageError
from mango_grader.executors import Site
from mango_grader.progress import Progress


@click.command()
@click.argument("file", required=False, type=click.Path(exists=True, dir_okay=False))
@click.option("--out", required=True, metavar="DIR", help="Output directory.")
@click.option("--resume", is_flag=True, help="Continue an interrupted sweep; only --out is needed.")
@site_options
@reporter_option
def sweep(file: str | None, out: str, resume: bool, reporter: Callable[[], Progress], site: Site) -> None:
    """Compare methods on several data sets, within several limits, as a TOML FILE states.

    \b
    methods = ["random", "spos/lite", "msdnet"]
    seeds = 3
    [options]
    budget = "20m"
    [data.kent]
    path = "kent"
    [data.keitt]
    path = "keitt/labels.csv"
    group_by = "fruit_id"
    [limits.small]
    max_macs = 6_000_000

    Each data set, within each of the limits, is a comparison with a folder of its
    own; sweep.html shows them all. A failed run is listed, and the others
    continue; the exit code is then 3. With --on ray, photos and output directory
    must lie where all machines of the cluster see them.
    """
    from mango_grader.cli.summary import print_sweep
    from mango_grader.workflow.comparison import read_sweep
    from mango_grader.workflow.comparison import sweep as run_sweep

    if file is None and not resume:
        raise UsageError("name the TOML file of the sweep, or continue one: --resume --out DIR")

    def continuing() -> str | None:
        begun = Path(out, "sweep.json").exists()
        return shlex.join(["mango-grader", "sweep", "--resume", "--out", out]) if begun else None

    with resumable(continuing):
        asked = None if file is None else read_sweep(file)
        folder = run_sweep(out, asked, resume=resume, reporter=reporter, site=site)
    print_sweep(folder)
    finish(not folder.failures)
