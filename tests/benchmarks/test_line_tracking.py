"""Trackers compared on a short simulated belt; a SORT that follows what it should."""

from pathlib import Path

from moving_fruit import MovingFruit, shots
from scripts import run_script

from benchmarks.lib.line.sort import SortTracker


def test_trackers_are_compared_on_the_same_blobs(tmp_path: Path) -> None:
    found = run_script("line_tracking", "--belts", "1", "--fruit", "8", out=tmp_path / "tracking.json")
    assert found["failed"] == {}
    rows = {row["tracker"]: row for row in found["summary"]}
    assert list(rows) == ["encoder", "estimated", "sort"]
    assert rows["encoder"]["fruit"] == 8
    assert rows["encoder"]["once"] == 8
    assert rows["encoder"]["switches"] == 0


def test_sort_follows_single_fruit() -> None:
    """The yardstick is a fair one: where fruit are apart and none is missed, it makes no mistake."""
    fruit = [MovingFruit(-40.0 - 150 * n, 60.0) for n in range(6)]
    tracker = SortTracker(line=400.0)
    numbers: dict[int, set[int]] = {}
    for shot in shots(fruit, [n / 30 for n in range(180)], lambda time: 300.0 * time):
        owners = {id(blob): one[0] for blob, one in zip(shot.blobs, shot.fruit, strict=True)}
        for number, blob in tracker.update(shot.frame.index, shot.blobs):
            numbers.setdefault(owners[id(blob)], set()).add(number)
    assert len(tracker.passed) == len(fruit)
    assert all(len(found) == 1 for found in numbers.values())
