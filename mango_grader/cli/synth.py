"""`mango-grader data synth`: make a folder of synthetic mangoes."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from mango_grader.cli.options import json_option, print_json, progress_option
from mango_grader.progress import Progress
from mango_grader.text import counted


@click.command(short_help="Make a folder of synthetic mangoes with defects, graded by a written rule.")
@click.argument("folder", metavar="DIR", type=click.Path(file_okay=False, path_type=Path))
@click.option("--count", type=click.IntRange(min=1), required=True, help="Number of fruit.")
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Random seed; each seed gives different fruit.",
)
@click.option("--size", type=int, default=224, show_default=True, help="Width and height of the images in pixels.")
@click.option(
    "--backgrounds",
    metavar="NAME,…",
    default="",
    callback=lambda _context, _option, names: tuple(name.strip() for name in names.split(",") if name.strip()),
    help="Use only these backgrounds; an unknown name prints all names.",
)
@click.option("--views", type=click.IntRange(min=1), default=1, show_default=True, help="Images of each fruit.")
@click.option("--clean", is_flag=True, help="Also write each image without its defects, to clean/.")
@click.option("--workers", type=click.IntRange(min=1), help="Number of threads; one per core by default.")
@json_option
@progress_option
def synth(
    folder: Path, count: int, clean: bool, workers: int | None, as_json: bool, progress: Progress, **series: Any
) -> None:
    """Make COUNT synthetic mangoes in DIR: images, grades, defect masks and areas.

    Fruit number n of a seed is always the same. Run the same command again to continue after an interruption. The
    folder is read like any other: `mango-grader search --data DIR --group-by fruit_id`.
    """
    from mango_grader.synthetic import Series, write_synthetic

    written = write_synthetic(folder, count, Series(**series), clean=clean, workers=workers, progress=progress)
    if as_json:
        print_json(asdict(written))
        return
    grades = ", ".join(f"{grade} {number}" for grade, number in written.grades.items())
    click.echo(f"{folder}: {counted(written.images, 'image')}, {written.made:,} of them new; {grades}")
    click.echo(f"{written.near_limit:.0%} of the images are within 20 % of a limit of the grading rule")
