"""How fast an archive is graded in shards, on this machine and on Ray, beside `grade` itself; and whether memory grows.

    python -m benchmarks.suite.archive --model runs/mangos/model.mango

Every arm is a command as a user types it, held to as many cores as it has workers. Its rate is that of its own progress
between the first report and the last, so that start-up is left out. Goals: per core, shards on this machine have 95 %
of the rate of `grade` on as many cores, on Ray 90 %; the memory of all processes together, in the last quarter of the
time, is within 5 % of that in the second.

Time: 20 minutes for 200,000 photos. Hardware: 2 otherwise idle CPU cores. n: 3 rounds, all arms in turn in each.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click
import numpy as np

from benchmarks.lib.inference.photos import Photos
from benchmarks.lib.measurements import Ledger, Measurement, MeasurementFailedError, Rows, measure_all
from benchmarks.lib.options import measurement_options
from benchmarks.lib.scale.processes import MemoryWatch

_GRADE, _HERE, _RAY = "grade", "shards", "shards on Ray"
ARMS = tuple((way, cores) for cores in (1, 2) for way in (_GRADE, _HERE, _RAY))
GOALS = {_HERE: 0.95, _RAY: 0.9}


@dataclass(frozen=True)
class Trial:
    """What is graded, by which model, in shards of how many photos."""

    model: str
    photos: Photos
    shard_size: int

    def command(self, way: str, cores: int, folder: str) -> list[str]:
        """Return the command of an arm, which writes into a folder."""
        given = [str(self.photos.folder), "--model", self.model, "--progress", "json"]
        command = [sys.executable, "-m", "mango_grader", "grade", *given]
        if way == _GRADE:
            return [*command, "--workers", str(cores), "--out", f"{folder}/rows.parquet"]
        where = ["--on", "ray"] if way == _RAY else ["--workers", str(cores)]
        return [*command, *where, "--shard-size", str(self.shard_size), "--out", f"{folder}/rows/"]


def measure(way: str, cores: int, trial: Trial) -> dict[str, Any]:
    """Grade the photos once, and return the rate per core and how much memory was held."""
    trial.photos.files()
    usable = sorted(os.sched_getaffinity(0))[:cores]
    with tempfile.TemporaryDirectory(dir=trial.photos.folder.parent) as folder:
        process = subprocess.Popen(
            trial.command(way, cores, folder),
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
            preexec_fn=partial(os.sched_setaffinity, 0, usable),
        )
        watch = MemoryWatch(process.pid)
        watch.start()
        assert process.stderr is not None
        said = [line for line in process.stderr if line.startswith("{")]
        code = process.wait()
        watch.stop()
    if code:
        raise MeasurementFailedError(f"exit code {code}: {said[-1:]}")
    told = [row for row in map(json.loads, said) if row["event"] == "progress" and row["task"].startswith("grading")]
    first, last = told[0], told[-1]
    if last["done"] == first["done"]:
        raise MeasurementFailedError("too few photos: progress was reported once")
    seconds = last["elapsed_s"] - first["elapsed_s"]
    return {
        "rate_per_core": (last["done"] - first["done"]) / seconds / cores,
        "seconds": seconds,
        "memory_mib": max(watch.mebibytes, default=None),
        "memory_growth": watch.growth(),
    }


def summarise(figures: Mapping[str, Any]) -> Rows:
    """Return a row for each arm: its rate, in shares of that of `grade`, and the growth of its memory."""
    rows: list[dict[str, Any]] = []
    for way, cores in ARMS:
        rounds = {name.rpartition("/")[2] for name in figures}
        own = {each: figures[name] for each in rounds if (name := f"{way}/{cores}/{each}") in figures}
        if not own:
            continue
        beside = {each: figures[name] for each in own if (name := f"{_GRADE}/{cores}/{each}") in figures}
        shares = [own[each]["rate_per_core"] / beside[each]["rate_per_core"] for each in sorted(beside)]
        rates = [each["rate_per_core"] for each in own.values()]
        growths = [each["memory_growth"] for each in own.values() if each["memory_growth"] is not None]
        rows.append({
            "way": way, "cores": cores, "n": len(own),
            "rate_per_core": float(np.mean(rates)), "sd": float(np.std(rates, ddof=1)) if len(rates) > 1 else None,
            "share_of_grade": float(np.mean(shares)) if shares else None, "goal": GOALS.get(way),
            "seconds": float(np.mean([each["seconds"] for each in own.values()])),
            "memory_mib": max(each["memory_mib"] or 0.0 for each in own.values()),
            "memory_growth": max(growths, key=abs) if growths else None,
        })  # fmt: skip
    return rows


@click.command()
@click.option("--model", required=True, type=click.Path(exists=True), help="The .mango file or run that grades.")
@click.option("--images", type=click.IntRange(2), default=200_000, show_default=True, help="On two cores; half on one.")
@click.option("--shard-size", type=click.IntRange(1), default=10_000, show_default=True)
@click.option("--rounds", type=click.IntRange(1), default=1, show_default=True)
@click.option("--work", type=click.Path(path_type=Path), default=Path("runs/archive"), show_default=True)
@measurement_options("archive", minutes=60, jobs=1)
def main(
    model: str,
    images: int,
    shard_size: int,
    rounds: int,
    work: Path,
    minutes: float,
    jobs: int,
    resume: bool,
    out: Path,
) -> None:
    """Measure what is missing, save each measurement at once, and print a row for each way to grade."""
    setup = {"images": images, "shard_size": shard_size, "model": Path(model).name}
    ledger = Ledger("archive", out, setup, summarise)
    ledger.open(resume)
    with_ray = find_spec("ray") is not None
    planned = [
        Measurement(f"{way}/{cores}/{number}", partial(measure, way, cores, trial))
        for number in range(rounds)
        for way, cores in ARMS
        if way != _RAY or with_ray
        for trial in (Trial(model, _photos(work, images, cores), shard_size),)
    ]
    measure_all(ledger, planned, minutes, jobs)
    for row in ledger.save():
        share = "" if row["share_of_grade"] is None else f", {row['share_of_grade']:.1%} of grade"
        growth = "" if row["memory_growth"] is None else f" {row['memory_growth']:+.1%}"
        click.echo(
            f"{row['way']:14} {row['cores']} cores: {row['rate_per_core']:.0f} photos a second and core{share},"
            f" {row['memory_mib']:.0f} MiB{growth}, {row['seconds']:.0f} s"
        )


def _photos(work: Path, images: int, cores: int) -> Photos:
    count = images if cores > 1 else images // 2
    return Photos(work / f"small-{count}", count, 320, 240)


if __name__ == "__main__":
    main()
