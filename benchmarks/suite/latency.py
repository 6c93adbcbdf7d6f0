"""How well a table of measured operations predicts the latency of whole networks on this host, exit by exit.

    python -m benchmarks.suite.latency --space layerwise --space shufflenet

Networks are uniform draws of a preset's space at several widths; a measurement is one space. Predicted: the table's
prices, summed. Measured: the exported stages, one after another. One image, one thread; the host's table is kept in the
user's cache.

Time: minutes a space. Hardware: 1 otherwise idle CPU core. n: 16 networks.
"""

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np

from benchmarks.lib.measurements import Ledger, Measurement, measure_all
from benchmarks.lib.options import measurement_options
from mango_grader.automl.latency import LatencyTable, compare, latency, places
from mango_grader.automl.search_space import SearchSpace
from mango_grader.automl.spaces import SPACES
from mango_grader.workflow.presets import PRESETS


def measure(kind: str, preset: str, size: int, networks: int, widths: Sequence[float], seed: int) -> dict[str, Any]:
    """Return Kendall's tau and the median relative error, (exits,) each, and every network's times in ms."""
    load = os.getloadavg()[0]
    config = PRESETS[preset].space(kind, size, size)
    table, whole = LatencyTable(), SearchSpace(config)
    start = time.monotonic()
    table.measure(places(whole))
    operations_s = time.monotonic() - start
    latency(whole, table)
    table_s = time.monotonic() - start
    spaces, rng = [SearchSpace(replace(config, multiplier=width)) for width in widths], np.random.default_rng(seed)
    drawn = [spaces[number % len(spaces)].sample(rng) for number in range(networks)]
    found = compare(drawn, table)
    macs = np.array([SearchSpace(each.space).derive(each).macs() for each in drawn])
    return {
        "load_average": load,
        "operations": len(set(places(whole))),
        "operations_s": operations_s,
        "table_s": table_s,
        "kendall_tau": found.kendall_tau(),
        "kendall_tau_of_macs": replace(found, predicted=macs).kendall_tau(),
        "median_error": found.median_error(),
        "networks": [
            {"multiplier": each.space.multiplier, "predicted_ms": predicted, "measured_ms": measured}
            for each, predicted, measured in zip(
                drawn, *(part.tolist() for part in asdict(found).values()), strict=True
            )
        ],
    }


def summarise(figures: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return what is predicted of each space's exits."""
    quoted = ("kendall_tau", "kendall_tau_of_macs", "median_error")
    return [
        {"space": name, "n": len(each["networks"]), "exit": number, **dict(zip(quoted, row, strict=True))}
        for name, each in figures.items()
        for number, row in enumerate(zip(*(each[name] for name in quoted), strict=True), start=1)
    ]


@click.command()
@click.option("--preset", default="quick", show_default=True)
@click.option("--space", "kinds", multiple=True, type=click.Choice(list(SPACES)), default=["layerwise"])
@click.option("--size", default=128, show_default=True, help="Pixels of either side.")
@click.option("--networks", default=16, show_default=True)
@click.option("--widths", default="0.5,0.75,1,1.5", show_default=True, help="Width multipliers, taken in turn.")
@click.option("--seed", default=0, show_default=True)
@measurement_options("latency", minutes=30)
def main(
    preset: str,
    kinds: tuple[str, ...],
    size: int,
    networks: int,
    widths: str,
    seed: int,
    minutes: float,
    jobs: int,
    resume: bool,
    out: Path,
) -> None:
    scale = {"preset": preset, "size": size, "networks": networks, "seed": seed}
    asked: dict[str, Any] = {**scale, "widths": [float(width) for width in widths.split(",")]}
    ledger = Ledger("latency", out, asked, summarise)
    ledger.open(resume)
    measure_all(ledger, [Measurement(kind, partial(measure, kind, **asked)) for kind in kinds], minutes, jobs)
    for row in ledger.save():
        click.echo(
            f"{row['space']:14} exit {row['exit']}  n = {row['n']}  tau {row['kendall_tau']:.3f} "
            f"(of MACs {row['kendall_tau_of_macs']:.3f})  median error {100 * row['median_error']:.1f} %"
        )


if __name__ == "__main__":
    main()
