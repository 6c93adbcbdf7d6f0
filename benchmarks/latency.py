"""How well a table of measured operations predicts the latency of whole networks on this host, exit by exit.

    python benchmarks/latency.py

Networks are uniform draws of a preset's space at several widths. Predicted: the table's prices, summed. Measured: the
exported stages, one after another. One image, one thread; the host's table is kept in the user's cache.
"""

import os
import time
from dataclasses import asdict, replace
from typing import Any

import click
import numpy as np
from conditions import conditions

from mango_grader.automl.latency import LatencyTable, compare, latency, places
from mango_grader.automl.spaces import SearchSpace
from mango_grader.files import write_json
from mango_grader.progress import make_progress
from mango_grader.workflow.presets import PRESETS


@click.command()
@click.option("--preset", default="quick", show_default=True)
@click.option("--space", "kind", default="layerwise", show_default=True)
@click.option("--size", default=128, show_default=True, help="Pixels of either side.")
@click.option("--networks", default=16, show_default=True)
@click.option("--widths", default="0.5,0.75,1,1.5", show_default=True, help="Width multipliers, taken in turn.")
@click.option("--seed", default=0, show_default=True)
@click.option("--out", default="benchmarks/results/latency.json", show_default=True)
def main(preset: str, kind: str, size: int, networks: int, widths: str, seed: int, out: str) -> None:
    """Measure, write the JSON and print a short table."""
    measured_under, progress = {**conditions(), "load_average": os.getloadavg()[0]}, make_progress("plain")
    config = PRESETS[preset].space(kind, size, size)
    table, whole = LatencyTable(progress=progress), SearchSpace(config)
    start = time.monotonic()
    table.measure(places(whole))
    operations_s = time.monotonic() - start
    latency(whole, table)
    table_s = time.monotonic() - start
    multipliers, rng = [float(width) for width in widths.split(",")], np.random.default_rng(seed)
    spaces = [SearchSpace(replace(config, multiplier=width)) for width in multipliers]
    drawn = [spaces[number % len(spaces)].sample(rng) for number in range(networks)]
    found = compare(drawn, table)
    macs = np.array([SearchSpace(each.space).resolve(each).macs() for each in drawn])
    result: dict[str, Any] = {
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
    setup = {"preset": preset, "space": kind, "size": size, "networks": networks, "widths": multipliers, "seed": seed}
    write_json(out, {"benchmark": "latency", "conditions": measured_under, "setup": setup, **result})
    print(f"{result['operations']} operations in {operations_s:.0f} s, with the factor {table_s:.0f} s")
    rows = zip(*(result[name] for name in ("kendall_tau", "kendall_tau_of_macs", "median_error")), strict=True)
    for number, (tau, of_macs, error) in enumerate(rows, start=1):
        print(f"exit {number}  tau {tau:.3f} (of MACs {of_macs:.3f})  median error {100 * error:.1f} %")


if __name__ == "__main__":
    main()
