"""`mango-grader conveyor crops`: training crops of the fruit on a belt."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mango_grader.cli.conveyor.source_options import source_argument
from mango_grader.cli.options import json_option, print_json, progress_option
from mango_grader.progress import Progress
from mango_grader.text import counted

if TYPE_CHECKING:
    from mango_grader.line import Source


@click.command()
@source_argument
@click.option(
    "--config", required=True, metavar="FILE", help="Configuration of the line, as `conveyor calibrate` writes it."
)
@click.option("--out", required=True, type=click.Path(path_type=Path), metavar="DIR", help="Where to write.")
@click.option(
    "--labels",
    metavar="FILE",
    help="CSV with known grades: label, and fruit_id, or lane and passed_time as in truth.csv of a simulated belt.",
)
@click.option("--views", type=int, default=6, show_default=True, help="Most crops of one fruit.")
@click.option("--lot", default="", metavar="NAME", help="Put before the names of fruit, to join sets of several belts.")
@json_option
@progress_option
def crops(
    source: "Source",
    config: str,
    out: Path,
    labels: str | None,
    views: int,
    lot: str,
    as_json: bool,
    progress: Progress,
) -> None:
    """Cut training crops of all fruit on a belt, found, followed and cut as `conveyor run` does it.

    Crops of fruit with a known grade go to DIR/images and DIR/labels.csv. Then:

    `mango-grader search --data DIR --group-by fruit_id`

    Others go to DIR/ungraded, a folder for each fruit: move these folders into one folder per grade (DIR/A, DIR/B, …)
    and search with `--group-by labels.csv:fruit_id`. Only whole fruit are cut, spread evenly along the belt. Run the
    same command again to continue after an interruption.
    """
    from mango_grader.line.config import read_config
    from mango_grader.line.crop_set import CropSetOptions, write_crops
    from mango_grader.line.known_grades import read_grades

    grades = None if labels is None else read_grades(labels)
    options = CropSetOptions(views=views, lot=lot)
    written = write_crops(source, read_config(config), out, grades=grades, options=options, progress=progress)
    if as_json:
        print_json(asdict(written))
        return
    found = ", ".join(f"{label or 'ungraded'} {count}" for label, count in written.labels.items())
    click.echo(f"{out}: {counted(written.crops, 'crop')} of {written.fruit} fruit, {written.new:,} new; {found}")
    if written.unseen:
        click.echo(f"{written.unseen} fruit without a crop: no frame shows them whole")
