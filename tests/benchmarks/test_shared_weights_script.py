from pathlib import Path

import pytest
from scripts import run_script

from benchmarks.suite.shared_weights import ARMS, NETWORKS, summarise
from mango_grader.synthetic import Series, write_synthetic


def test_a_tiny_run_scores_every_arm(tmp_path: Path) -> None:
    write_synthetic(tmp_path / "fruit", 45, Series(0, size=64))
    out, where = tmp_path / "weights.json", ("--data", str(tmp_path / "fruit"), "--group-by", "fruit_id")
    tiny = (*where, "--work", str(tmp_path / "work"), "--size", "32", "--seconds", "0.3", "--seeds", "1", "--jobs", "1")
    found = run_script("shared_weights", *tiny, out=out)
    assert [row["arm"] for row in found["summary"]] == list(ARMS)
    assert all(0 <= row["smallest"] <= 1 and row["steps"] >= 1 for row in found["summary"])


def test_arms_are_compared_over_the_ten_networks_alone() -> None:
    def found(accuracy: float) -> dict[str, object]:
        return {"accuracy": [accuracy] * NETWORKS + [0.0, 1.0], "cross_entropy": [1.0] * (NETWORKS + 2), "steps": 5}

    figures = {"before/0": found(0.5), "before/1": found(0.6), "ImageNet/0": found(0.7), "ImageNet/1": found(0.82)}
    first, second = summarise(figures, "tiny")
    assert (first["accuracy"], first["smallest"], first["largest"]) == pytest.approx((0.55, 0.0, 1.0))
    assert "against" not in first
    assert second["against"]["difference"]["mean"] == pytest.approx(0.21)
