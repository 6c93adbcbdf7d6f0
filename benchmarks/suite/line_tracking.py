"""Is each fruit counted once under one number? The tracker, by encoder and by estimated motion, against SORT.

    python -m benchmarks.suite.line_tracking

A measurement is one simulated belt with touching fruit, stops and reversals, found by the palette finder that learned
the empty belt. All trackers see the same blobs. A fruit is counted once if a counted one matches it, one to one, within
0.6 lengths of a fruit along the belt and 0.5 across. A switch is a fruit whose number differs from the one it had in
the last frame that showed it. SORT is written after its paper (benchmarks/lib/line/sort.py); like any tracker that does
not know the belt, it counts by frame.

Time: 4 minutes a belt on one core. Hardware: 2 CPU cores. n: 3 belts of 300 fruit.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np
from scipy.optimize import linear_sum_assignment

from benchmarks.lib.line.sort import SortTracker
from benchmarks.lib.measurements import Ledger, Measurement, measure_all
from benchmarks.lib.options import measurement_options
from mango_grader.line import Axes, Blob, Passage, TrackingConfig, make_tracker
from mango_grader.line.calibration import learn_palette
from mango_grader.line.simulator import PRESETS, Shown, SimulatedBelt

Crossing = tuple[float, float]
"""Position of the belt in pixels, and across it, at which a fruit was counted."""


@dataclass
class Identities:
    """Which number each fruit had last.

    Attributes:
        switches: number of times that it changed.
        last: number by the fruit.
    """

    switches: int = 0
    last: dict[int, int] = field(default_factory=dict)

    def see(self, numbered: Sequence[tuple[int, Blob]], shown: Sequence[Shown], near: float) -> None:
        """Note which numbers a frame gives to the fruit that it shows, at most `near` pixels away."""
        places = np.array([(one.blob.x, one.blob.y) for one in shown])
        for number, blob in numbered if len(places) else ():
            distances = np.hypot(*(places - (blob.x, blob.y)).T)
            fruit = shown[int(distances.argmin())].number
            if distances.min() < near:
                self.switches += self.last.get(fruit, number) != number
                self.last[fruit] = number


def measure_belt(seed: int, fruit: int) -> dict[str, Any]:
    """Return what each tracker makes of one belt."""
    belt = SimulatedBelt(replace(PRESETS["stops"], fruit=fruit, seed=seed))
    settings = belt.settings
    empty = [belt.frame(n).image for n in belt.indices if belt.moment(n)[0] < 0.7 * settings.empty_seconds]
    finder = learn_palette([image for image in empty if image is not None]).build(settings.axes)
    trackers = {
        motion: make_tracker(Axes(settings.camera, replace(settings.belt, motion=motion)), TrackingConfig())
        for motion in ("encoder", "estimated")
    }
    sort = SortTracker(settings.belt.decision_line)
    seen = {name: Identities() for name in (*trackers, "sort")}
    passages: dict[str, list[Passage]] = {name: [] for name in trackers}
    near = 0.25 * settings.length_px
    for index in belt.indices:
        frame, shown = belt.frame(index), belt.shown(index)
        assert frame.image is not None
        blobs = finder.find(frame.image)
        for name, tracker in trackers.items():
            update = tracker.update(frame, blobs)
            passages[name] += [passage for passage in update.passages if passage.status == "decided"]
            seen[name].see([(sighting.fruit, sighting.blob) for sighting in update.sightings], shown, near)
        seen["sort"].see(sort.update(index, blobs), shown, near)
    ticks = {index: belt.moment(index)[1] or 0.0 for index in belt.indices}
    counted: dict[str, list[Crossing]] = {
        name: [(one.passed_ticks or 0.0, one.across) for one in found] for name, found in passages.items()
    }
    counted["sort"] = [(ticks[frame], across) for frame, across in sort.passed]
    truth = [(one.passed_ticks, one.across) for one in belt.truth if one.is_fruit and one.passed_ticks is not None]
    return {
        name: {
            "fruit": len(truth),
            "counted": len(found),
            "once": matched(found, truth, settings.length_px, 1 / settings.ticks_per_px),
            "switches": seen[name].switches,
        }
        for name, found in counted.items()
    }


def matched(found: Sequence[Crossing], truth: Sequence[Crossing], length: float, px_per_tick: float) -> int:
    """Return how many of the true crossings a counted one matches."""
    if not found or not truth:
        return 0
    along = px_per_tick * np.abs(np.subtract.outer([ticks for ticks, _ in found], [ticks for ticks, _ in truth]))
    across = np.abs(np.subtract.outer([place for _, place in found], [place for _, place in truth]))
    near = (along < 0.6 * length) & (across < 0.5 * length)
    rows, columns = linear_sum_assignment(np.where(near, along + across, 1e6))
    return int(near[rows, columns].sum())


def summarise(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return a row for each tracker."""
    rows = []
    for name in ("encoder", "estimated", "sort"):
        total = {
            key: sum(belt[name][key] for belt in found.values()) for key in ("fruit", "counted", "once", "switches")
        }
        fruit = max(total["fruit"], 1)
        shares = {"once_share": total["once"] / fruit, "switch_share": total["switches"] / fruit}
        rows.append({"tracker": name, **total, "extra": total["counted"] - total["once"], **shares})
    return rows


@click.command()
@click.option("--belts", type=click.IntRange(1), default=3, show_default=True)
@click.option("--fruit", type=click.IntRange(2), default=300, show_default=True, help="On each belt.")
@measurement_options("line_tracking", minutes=30, jobs=1)
def main(minutes: float, jobs: int, resume: bool, out: Path, belts: int, fruit: int) -> None:
    """Compare trackers on simulated belts, write JSON and CSV, and print one line for each."""
    ledger = Ledger("line_tracking", out, {"fruit": fruit}, summarise)
    ledger.open(resume)
    each = [Measurement(f"belt {seed}", partial(measure_belt, seed, fruit)) for seed in range(1, belts + 1)]
    measure_all(ledger, each, minutes, jobs)
    for row in ledger.save():
        print(
            f"{row['tracker']:<10} counted once {row['once_share']:.2%}, {row['extra']} extra, "
            f"switches {row['switch_share']:.2%} of {row['fruit']} fruit"
        )


if __name__ == "__main__":
    main()
