"""What a large data set costs: seconds and memory per 100,000 images, stage by stage.

    make bench-large_data
    python -m benchmarks.suite.large_data --images 2000 --images 8000

Small synthetic JPEGs (64 pixels, all different, three classes) are listed (from class folders, and from a CSV),
split, packed, recorded (a run's data.json and split.json, written and read), read for one epoch of batches and
inspected, at two sizes or more, each stage in a process of its own. What grows per image is the difference between
the largest and the smallest size; the rest is there for any number of images. Sizes should be above 30,000, where
thumbnails lie in a file and hashes are compared in bands. Memory is the most that the process had at once: resident,
and anonymous, that is without pages of mapped files, which the system takes back when it needs them. Except in the
CSV, images are groups of their own: nobody looks for photos of the same fruit, which ends at 20,000 images anyway.
Pixels are packed into files of 32 MB, an eighth of what runs have, and into one file for comparison.

Time: 8 minutes. Hardware: 2 otherwise idle CPU cores. n: 1 for each stage and size.
"""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click

from benchmarks.lib import large_stages
from benchmarks.lib.large_stages import SHARD_BYTES, SIDE, STAGES, write_images
from benchmarks.lib.measurements import Ledger, Measurement, MeasurementFailedError, measure_all
from benchmarks.lib.options import measurement_options

_FIGURES = ("seconds", "resident_mb", "anonymous_mb")
_UNIT = 100_000


def measure(stage: str, folder: Path) -> dict[str, float]:
    """Return seconds and memory of a stage; raises MeasurementFailedError with the end of what it printed."""
    command = [sys.executable, "-m", large_stages.__name__, stage, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise MeasurementFailedError(done.stderr[-600:])
    found: dict[str, float] = json.loads(done.stdout)
    return found


def summarise(sizes: Sequence[int], figures: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return one row a stage: its figures at the largest size, and how they grow per 100,000 images."""
    fewest, most = min(sizes), max(sizes)
    rows = []
    for stage in STAGES:
        few, many = figures.get(f"{stage}/{fewest}"), figures.get(f"{stage}/{most}")
        if few is None or many is None:
            continue
        grown = {f"{name}_per_100k": (many[name] - few[name]) / (most - fewest) * _UNIT for name in _FIGURES}
        rows.append({"stage": stage, "images": most, **many, **grown})
    return rows


def show(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print the summary."""
    click.echo(f"{'stage':20}{'images':>8}{'seconds':>10}{'MB':>8}{'anonymous':>11}   per 100,000: {'s':>8}{'MB':>8}")
    for row in rows:
        click.echo(
            f"{row['stage']:20}{row['images']:8}{row['seconds']:10.2f}{row['resident_mb']:8.0f}"
            f"{row['anonymous_mb']:11.0f}{row['seconds_per_100k']:25.1f}{row['anonymous_mb_per_100k']:8.0f}"
        )


@click.command()
@click.option("--images", "sizes", type=click.IntRange(large_stages.FEW), multiple=True, default=(50_000, 100_000))
@click.option("--stage", "stages", type=click.Choice(list(STAGES)), multiple=True, help="All of them unless named.")
@measurement_options("large_data", minutes=20, jobs=1)
def main(sizes: tuple[int, ...], stages: tuple[str, ...], minutes: float, jobs: int, resume: bool, out: Path) -> None:
    """Measure every stage at every size."""
    if len(set(sizes)) < 2:
        raise click.UsageError("growth shows between two sizes: give --images twice")
    counts = sorted(set(sizes))
    setup = {"images": counts, "pixels": SIDE, "shard_bytes": SHARD_BYTES}
    ledger = Ledger("large_data", out, setup, partial(summarise, counts))
    ledger.open(resume)
    with TemporaryDirectory() as work:
        folders = {count: Path(work, str(count)) for count in counts}
        for count, folder in folders.items():
            write_images(folder, count)
        measurements = [
            Measurement(f"{stage}/{count}", partial(measure, stage, folder))
            for count, folder in folders.items()
            for stage in stages or STAGES
        ]
        measure_all(ledger, measurements, minutes, jobs)
    show(ledger.save())


if __name__ == "__main__":
    main()
