"""How well scores rank networks: τ, its intervals, and the script at its smallest."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import kendalltau
from scripts import measurements_done, run_script

from benchmarks.lib.fidelity.kendall import AGAIN, summarise, tau
from mango_grader.synthetic import Series, write_synthetic

ONCE = np.ones((1, 8), dtype=np.int64)


def test_tau_is_that_of_scipy_ties_included() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        ours, theirs = rng.integers(0, 5, (2, 8)).astype(float)
        assert tau(ours, theirs, ONCE)[0] == pytest.approx(kendalltau(ours, theirs).statistic)


def test_a_network_that_was_drawn_twice_makes_no_tie_with_itself() -> None:
    order, counts = np.arange(8.0), np.array([[3, 0, 2, 1, 0, 0, 1, 1], [8, 0, 0, 0, 0, 0, 0, 0]])
    assert tau(order, order, counts).tolist() == [1.0, 0.0]
    assert tau(order, -order, counts)[0] == -1.0


def figures(noise: float, networks: int = 30) -> dict[str, Any]:
    """Return trainings of networks whose cross entropy is all that their accuracy depends on, and two super nets."""
    rng = np.random.default_rng(1)
    quality = rng.normal(size=networks)

    def noisy(sd: float) -> np.ndarray:
        return quality + sd * rng.normal(size=networks)

    def part(values: np.ndarray, network: int) -> dict[str, float]:
        return {"accuracy": values[network], "cross_entropy": -values[network]}

    found: dict[str, Any] = {}
    for seed in range(2):
        own = noisy(0.1)
        for network in range(networks):
            found[f"dag/own {network}/{seed}"] = {name: part(own, network) for name in ("validation", "test")}
        found[f"dag/shared even/{seed}"] = {
            "accuracy": noisy(noise).tolist(),
            "cross_entropy": (-noisy(0.2)).tolist(),
            "macs": rng.normal(size=networks).tolist(),
        }
    return found


def row(found: dict[str, Any], score: str) -> dict[str, Any]:
    rows = [each for each in summarise(found) if each["part"] == "validation" and each["truth"] == "accuracy"]
    (only,) = [each for each in rows if each["score"] == score]
    return only


def test_a_better_score_gains_and_none_beats_another_training() -> None:
    found = figures(noise=3.0)
    again, accuracy, entropy, macs = (row(found, each) for each in (AGAIN, "accuracy", "cross_entropy", "macs"))
    assert again["tau"] > 0.8 > entropy["tau"] - 0.2 > accuracy["tau"]
    assert entropy["gain"] == pytest.approx(entropy["tau"] - accuracy["tau"])
    assert entropy["gain_low"] > 0
    assert macs["tau_low"] < 0 < macs["tau_high"]
    assert "gain" not in accuracy
    assert (again["networks"], again["trainings"], entropy["super_nets"]) == (30, 2, 2)


def test_equal_scores_gain_nothing_for_sure() -> None:
    entropy = row(figures(noise=0.2), "cross_entropy")
    assert entropy["gain_low"] < 0 < entropy["gain_high"]


def test_unfinished_networks_are_left_out() -> None:
    found = figures(noise=0.2)
    kept = {name: each for name, each in found.items() if "own" not in name or int(name.split()[1].split("/")[0]) < 9}
    assert row(kept, "accuracy")["networks"] == 9


def test_a_smoke_run_ranks_networks_and_resumes(tmp_path: Path) -> None:
    write_synthetic(tmp_path / "mangoes", 45, Series(0, size=64))
    settings = ("method.epochs=1", "space.channels=8", "space.levels=2", "space.stages=[1]", "space.exits=[1]")
    options = (
        *("--data", str(tmp_path / "mangoes"), "--group-by", "fruit_id", "--folds", "3", "--space", "dag"),
        *("--networks", "3", "--seeds", "2", "--super-nets", "1", "--size", "32", "--epochs", "1", "--jobs", "1"),
        *("--work", str(tmp_path / "work")),
        *(part for setting in settings for part in ("--set", setting)),
    )
    out = tmp_path / "ranking.json"
    found = run_script("ranking", *options, out=out)
    assert not found["failed"]
    assert len(found["measurements"]) == 2 + 3 * 2, "two ways to draw paths, three networks trained twice"
    scores = {(each["paths"], each["score"]) for each in found["summary"]}
    assert scores == {(None, AGAIN), *((p, s) for p in ("even", "fair") for s in ("accuracy", "cross_entropy", "macs"))}
    assert all(-1 <= each["tau_low"] <= each["tau_high"] <= 1 for each in found["summary"])
    again = run_script("ranking", *options, "--resume", out=out)
    assert measurements_done(again) == measurements_done(found)
