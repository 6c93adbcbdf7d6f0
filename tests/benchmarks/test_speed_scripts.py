"""The benchmarks of speed, on images so few and small that their figures mean nothing."""

from pathlib import Path

import pytest
from scripts import measurements_done, run_script

from mango_grader.synthetic import Series, write_synthetic


def test_a_search_is_timed_part_by_part_against_the_training_of_its_result(tmp_path: Path) -> None:
    write_synthetic(tmp_path / "mangoes", 40, Series(0, size=64))
    scale = ("--data", str(tmp_path / "mangoes"), "--group-by", "fruit_id", "--size", "32", "--share", "0.04")
    options = (*scale, "--pair", "random:layerwise", "--seeds", "1", "--jobs", "1")
    out = tmp_path / "search_speed.json"
    found = run_script("search_speed", *options, out=out)
    assert set(found["measurements"]) == {"random/layerwise/0"}
    figures = found["measurements"]["random/layerwise/0"]["figures"]
    assert figures["epochs_trained"] == 2  # of the quick preset's 60
    spent = figures["seconds"]
    assert set(spent) == {"rounds", "picking", "training"}
    assert min(spent.values()) > 0
    assert sum(spent.values()) * 0.04 <= found["measurements"]["random/layerwise/0"]["seconds"]
    (pair,) = found["summary"]
    assert pair["n"] == 1
    expected = (spent["rounds"] + spent["picking"]) / spent["training"]
    assert pair["ratio"]["mean"] == pytest.approx(expected, rel=1e-4)  # the file keeps six digits
    assert pair["goal_met"] == (pair["ratio"]["mean"] <= 2)
    assert out.with_suffix(".png").stat().st_size > 2_000
    assert measurements_done(run_script("search_speed", *options, "--resume", out=out)) == measurements_done(found)


def test_steps_of_super_net_and_plain_network_are_paired(tmp_path: Path) -> None:
    options = ("--space", "nasbench201", "--repeats", "2", "--jobs", "1")
    found = run_script("step_speed", *options, out=tmp_path / "step_speed.json")
    step = found["measurements"]["step/nasbench201"]["figures"]
    assert step["activation_ratio"] == pytest.approx(1, abs=0.05)
    assert step["state_bytes"]["super"]["parameters"] > step["state_bytes"]["plain"]["parameters"]
    assert [row["n"] for row in found["summary"]] == [1, 1]
    assert found["measurements"]["augmentation/layerwise"]["figures"]["ratio"] > 0


def test_predicted_latencies_are_compared_with_measured_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    options = ("--size", "32", "--networks", "3", "--space", "nasbench201", "--jobs", "1")
    out = tmp_path / "latency.json"
    found = run_script("latency", *options, out=out)
    figures = found["measurements"]["nasbench201"]["figures"]
    assert [(row["exit"], row["n"]) for row in found["summary"]] == [(1, 3), (2, 3), (3, 3)]
    assert all(min(each["measured_ms"]) > 0 for each in figures["networks"])
    assert all(-1 <= tau <= 1 for tau in figures["kendall_tau"])
    assert figures["operations"] > 3
    assert measurements_done(run_script("latency", *options, "--resume", out=out)) == measurements_done(found)
