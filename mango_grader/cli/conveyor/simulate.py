"""`mango-grader conveyor simulate`: a simulated belt, as a folder of frames or a video."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import click

from mango_grader.cli.options import json_option, print_json, progress_option
from mango_grader.errors import UsageError
from mango_grader.progress import Progress
from mango_grader.text import counted

_VIDEO_HAS_NO = ("jitter", "dropped")


@click.command()
@click.option("--out", required=True, type=click.Path(path_type=Path), metavar="DIR|FILE.mp4", help="Where to write.")
@click.option(
    "--preset",
    metavar="NAME",
    default="standard",
    show_default=True,
    help="Settings to start from; an unknown name prints all names.",
)
@click.option(
    "--settings",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="TOML file with settings that replace the preset's.",
)
@click.option("--fruit", type=int, metavar="N", help="Number of fruit.")
@click.option("--seed", type=int, metavar="N", help="Random seed; each seed gives another belt with other fruit.")
@click.option("--direction", type=click.Choice(["right", "left", "down", "up"]), help="In which fruit move.")
@click.option("--lanes", type=int, metavar="N", help="Number of lanes.")
@click.option("--texture", type=click.Choice(["plain", "ribs", "mesh", "rollers"]), help="The belt's surface.")
@click.option("--speed", type=float, metavar="PX", help="Speed of the belt in pixels per second.")
@click.option("--fps", type=float, metavar="N", help="Frames per second.")
@click.option("--touching", type=float, metavar="SHARE", help="Share of the fruit that touch the one before them.")
@click.option("--foreign", type=float, metavar="SHARE", help="Share of leaves, stones and stickers.")
@click.option("--jitter", type=float, metavar="SHARE", help="Irregularity of the frames' times.")
@click.option("--dropped", type=float, metavar="SHARE", help="Share of frames that are lost.")
@click.option("--workers", type=click.IntRange(min=1), help="Number of threads; one per core by default.")
@json_option
@progress_option
def simulate(
    out: Path,
    preset: str,
    settings: Path | None,
    workers: int | None,
    as_json: bool,
    progress: Progress,
    **changes: Any,
) -> None:
    """Simulate a belt of rolling mangoes: frames, the truth about each fruit, and a configuration of the line.

    Into a folder go frames whose names carry their times, times.csv with the encoder's ticks, truth.csv and line.toml.
    Run the same command again to continue after an interruption. Beside a video FILE.mp4 lie FILE.truth.csv and
    FILE.toml; a video has regular times and no encoder. Then:

    `mango-grader conveyor run DIR --config DIR/line.toml --model MODEL --out fruit.csv`
    """
    from mango_grader.line.simulator.presets import read_settings
    from mango_grader.line.simulator.write import VIDEOS, as_video, write_belt

    given = {name: value for name, value in changes.items() if value is not None}
    chosen = read_settings(preset, settings)
    if out.suffix.lower() in VIDEOS:
        if useless := [name for name in _VIDEO_HAS_NO if given.get(name)]:
            raise UsageError(f"a video has no use for --{useless[0]}; write a folder instead")
        chosen = as_video(chosen)
    written = write_belt(out, replace(chosen, **given), workers=workers, progress=progress)
    if as_json:
        print_json(asdict(written))
        return
    grades = ", ".join(f"{grade} {number}" for grade, number in written.grades.items())
    click.echo(
        f"{out}: {counted(written.frames, 'frame')}, {written.new:,} of them new; {written.fruit} fruit: {grades}"
    )
