"""Counting and grading by the whole line, on a short simulated belt."""

from pathlib import Path

from scripts import SMALL_TEACHER, run_script

TINY = (
    "train.batch_size=8", "train.epochs=1", "method.epochs=1",
    "method.samples=1", "data.height=32", "data.width=32", "space.height=32", "space.width=32",
    *SMALL_TEACHER,
)  # fmt: skip


def test_every_fruit_of_a_belt_is_counted_once_and_graded(tmp_path: Path) -> None:
    settings = [part for setting in TINY for part in ("--set", setting)]
    scale = ("--belts", "1", "--fruit", "24", "--train-fruit", "12", "--size", "32")
    found = run_script("line_accuracy", *scale, "--work", str(tmp_path / "work"), *settings, out=tmp_path / "a.json")
    assert found["failed"] == {}
    (belt,) = (one["figures"] for one in found["measurements"].values())
    assert (belt["fruit"], belt["once"], belt["extra"], belt["switches"]) == (24, 24, 0, 0)
    assert belt["at_stops_once"] == belt["at_stops"] >= 1
    assert belt["touching"] >= 2
    assert len(belt["correct"]) == 24
    assert all(len(view) == 24 for view in belt["single"])
    (row,) = found["summary"]
    assert row["counted_once"] == 1
    best = max(view.count("1") for view in belt["single"])
    assert abs(24 * row["gain"]["value"] - (belt["correct"].count("1") - best)) < 1e-6
