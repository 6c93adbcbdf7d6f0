"""`mango-grader data synth`: make a folder of synthetic mangoes."""

from dataclasses import asdict
from pathlib import Path

import click

from mango_grader.cli.options import json_option, print_json, progress_option
from mango_grader.progress import Progress
from mango_grader.text import counted


@click.command(short_help="Make a folder of synthetic mangoes with defects, graded by a written rule.")
@click.argument("folder", metavar="DIR", type=click.Path(file_okay=False, path_type=Path))
@click.option("--count", type=click.IntRange(min=1), required=True, help="How many fruit.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Which series of fruit.")
@click.option("--size", type=int, default=224, show_default=True, help="Pixels a side.")
@click.option("--backgrounds", metavar="NAME,…", default="", help="Use only these; an unknown name lists all.")
@click.option("--views", type=click.IntRange(min=1), default=1, show_default=True, help="Pictures of each fruit.")
@click.option("--clean", is_flag=True, help="Also write each picture without its defects, to clean/.")
@click.option("--workers", type=click.IntRange(min=1), help="Threads; by default one per core.")
@json_option
@progress_option
def synth(
    folder: Path,
    count: int,
    seed: int,
    size: int,
    backgrounds: str,
    views: int,
    clean: bool,
    workers: int | None,
    as_json: bool,
    progress: Progress,
) -> None:
    """Make COUNT synthetic mangoes in DIR: pictures, grades, defect masks and areas.

    Fruit n of a seed is always the same. The same command again completes what an interrupted one left. The folder
    reads like any other: `mango-grader search --data DIR --group-by fruit_id`.
    """
    from mango_grader.synthetic.write import write_synthetic

    names = tuple(name.strip() for name in backgrounds.split(",") if name.strip())
    written = write_synthetic(
        folder,
        count,
        seed,
        size=size,
        backgrounds=names,
        views=views,
        clean=clean,
        workers=workers,
        progress=progress,
    )
    if as_json:
        print_json(asdict(written))
        return
    grades = ", ".join(f"{grade} {number}" for grade, number in written.grades.items())
    click.echo(f"{folder}: {counted(written.images, 'image')}, {written.made:,} of them new; {grades}")
    click.echo(f"{written.near_limit:.0%} lie within 20 % of a limit of the grading rule")
