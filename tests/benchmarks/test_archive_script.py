"""Rates of grading in shards, at the smallest size."""

from pathlib import Path

import pytest
from bundles import make_bundle
from scripts import measurements_done, run_script

from benchmarks.suite.archive import summarise


def test_shares_are_of_grade_on_as_many_cores_in_the_same_round() -> None:
    def found(rate: float, growth: float | None = 0.01) -> dict[str, float | None]:
        return {"rate_per_core": rate, "seconds": 60.0, "memory_mib": 300.0, "memory_growth": growth}

    rows = summarise({
        "grade/1/0": found(100), "shards/1/0": found(90), "grade/2/0": found(50), "grade/2/1": found(40),
        "shards/2/0": found(50, -0.04), "shards/2/1": found(50, None), "shards on Ray/2/0": found(25),
    })  # fmt: skip
    by_arm = {(row["way"], row["cores"]): row for row in rows}
    assert by_arm["shards", 1]["share_of_grade"] == pytest.approx(0.9)
    assert by_arm["shards", 2]["share_of_grade"] == pytest.approx((50 / 50 + 50 / 40) / 2)
    assert by_arm["shards", 2]["memory_growth"] == -0.04
    assert by_arm["shards on Ray", 2]["share_of_grade"] == pytest.approx(0.5)
    assert ("shards on Ray", 1) not in by_arm


def test_every_way_grades(tmp_path: Path) -> None:
    model = make_bundle(tmp_path / "model.mango")
    out = tmp_path / "archive.json"
    options = ("--model", str(model), "--images", "400", "--shard-size", "50", "--work", str(tmp_path / "work"))
    found = run_script("archive", *options, out=out)
    assert {row["way"] for row in found["summary"]} >= {"grade", "shards"}
    assert all(row["rate_per_core"] > 0 for row in found["summary"])
    again = run_script("archive", *options, "--resume", out=out)
    assert measurements_done(again) == measurements_done(found)
