"""How long a sweep of small runs takes on Ray, beside this machine's processes.

    python -m benchmarks.suite.sweep

The same 12 runs, two at a time on two cores, are done by `mango-grader sweep` on this machine and with --on ray, which
then starts a cluster of its own here; a time is that of the whole command. Goal: Ray takes 1.1 times as long at most.
Both must end with the same figures.

Time: 20 minutes. Hardware: 2 otherwise idle CPU cores. n: 2 rounds, both in turn in each.
"""

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np

from benchmarks.lib.measurements import Ledger, Measurement, MeasurementFailedError, Rows, measure_all
from benchmarks.lib.options import measurement_options
from mango_grader.files import digest, read_json, to_json
from mango_grader.synthetic import Series, write_synthetic

GOAL = 1.1
_WAYS = ("local", "ray")
_SWEEP = """
methods = ["random/layerwise", "enas"]
seeds = {seeds}
folds = 3
jobs = 2
[options]
size = 64
device = "cpu"
settings = ["train.epochs={epochs}"]
[data.kent]
path = "kent"
group_by = "fruit_id"
[data.keitt]
path = "keitt"
group_by = "fruit_id"
"""


def measure(way: str, number: int, stated: Path) -> dict[str, Any]:
    """Do the sweep once; return its seconds, and a digest of all that its runs achieved."""
    out = stated.parent / f"{way}-{number}"
    where = ["--on", "ray"] if way == "ray" else []
    command = [sys.executable, "-m", "mango_grader", "sweep", str(stated), "--out", str(out), "--progress", "none"]
    alone = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    begin = time.perf_counter()
    done = subprocess.run([*command, *where], env=alone, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    seconds = time.perf_counter() - begin
    if done.returncode:
        raise MeasurementFailedError(done.stderr.strip()[-300:])
    runs = [run for cell in ("kent", "keitt") for run in read_json(out / cell / "comparison.json")["runs"]]
    for run in runs:
        del run["figures"]["seconds"]
    return {"seconds": seconds, "runs": len(runs), "outcomes": digest(to_json(runs).encode())}


def summarise(figures: Mapping[str, Any]) -> Rows:
    """Return a row for each way: its seconds, and how many times those of this machine's processes they are."""
    by_way = {way: [found for name, found in figures.items() if name.startswith(f"{way}/")] for way in _WAYS}
    rows = []
    for way, found in by_way.items():
        if found:
            seconds = [each["seconds"] for each in found]
            ratios = [own["seconds"] / local["seconds"] for own, local in zip(found, by_way["local"], strict=False)]
            rows.append({
                "way": way, "runs": found[0]["runs"], "n": len(found), "seconds": float(np.mean(seconds)),
                "sd": float(np.std(seconds, ddof=1)) if len(seconds) > 1 else None,
                "to_local": float(np.mean(ratios)) if ratios else None, "goal": GOAL if way == "ray" else None,
                "same_outcomes": len({each["outcomes"] for each in [*found, *by_way["local"]]}) == 1,
            })  # fmt: skip
    return rows


@click.command()
@click.option("--images", type=click.IntRange(12), default=240, show_default=True, help="Of each of two data sets.")
@click.option("--seeds", type=click.IntRange(1), default=3, show_default=True, help="Runs of each of four pairs.")
@click.option("--epochs", type=click.IntRange(1), default=20, show_default=True)
@click.option("--rounds", type=click.IntRange(1), default=2, show_default=True)
@click.option("--work", type=click.Path(path_type=Path), default=Path("runs/sweep"), show_default=True)
@measurement_options("sweep", minutes=60, jobs=1)
def main(
    images: int,
    seeds: int,
    epochs: int,
    rounds: int,
    work: Path,
    minutes: float,
    jobs: int,
    resume: bool,
    out: Path,
) -> None:
    """Measure what is missing, save each measurement at once, and print a row for each way."""
    ledger = Ledger("sweep", out, {"images": images, "seeds": seeds, "epochs": epochs}, summarise)
    ledger.open(resume)
    for seed, name in enumerate(("kent", "keitt")):
        if not (work / name).exists():
            write_synthetic(work / name, images, Series(seed, size=64))
    stated = work / "sweep.toml"
    stated.write_text(_SWEEP.format(seeds=seeds, epochs=epochs))
    planned = [
        Measurement(f"{way}/{number}", partial(measure, way, number, stated))
        for number in range(rounds)
        for way in _WAYS
    ]
    measure_all(ledger, planned, minutes, jobs)
    for row in ledger.save():
        ratio = "" if row["to_local"] is None else f", {row['to_local']:.2f} times this machine's processes"
        click.echo(f"{row['way']:6} {row['runs']} runs in {row['seconds']:.0f} s{ratio}, n = {row['n']}")


if __name__ == "__main__":
    main()
