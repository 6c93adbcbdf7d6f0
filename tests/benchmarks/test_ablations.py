from pathlib import Path

import numpy as np
import pytest
from scripts import measurements_done, run_script

from benchmarks.lib.studies.betanas import spread_in
from benchmarks.lib.studies.claims import ALIKE, BETTER, Claim, claim_rows, verdict
from benchmarks.lib.studies.dso import SEARCHES, randomly_pruned, share_kept
from benchmarks.lib.studies.frame import Scale
from benchmarks.lib.studies.ms_ranas import PLAN, SETTINGS, _mean_beyond, measure, summarise
from benchmarks.lib.studies.room import components
from mango_grader.automl.architecture import Architecture
from mango_grader.automl.search_space import SearchSpace
from mango_grader.synthetic import Series, write_synthetic

TINY = ("--jobs", "1", "--seeds", "2", "--size", "32", "--effort", "0.01", "--width", "0.5")


def test_a_tiny_run_tests_claims_and_repeats_nothing(tmp_path: Path) -> None:
    write_synthetic(tmp_path / "fruit", 45, Series(0, size=64))
    out = tmp_path / "ablations.json"
    studies = [word for study in ("betanas", "dso", "mnet", "room") for word in ("--study", study)]
    where = (*TINY, *studies, "--data", str(tmp_path / "fruit"), "--work", str(tmp_path / "work"))
    found = run_script("ablations", *where, out=out)
    assert {name.split("/")[0] for name in found["measurements"]} == {"betanas", "dso", "mnet", "room"}
    for study in ("betanas", "dso", "mnet", "room"):
        rows = [row for row in found["summary"] if row["study"] == study]
        assert rows
        assert (tmp_path / f"ablations-{study}.png").stat().st_size > 2_000
        for row in rows:
            assert row["verdict"] in ("holds", "does not hold", "cannot be told at this scale", "counted")
            assert row["n"] >= 2
            assert row["scale"]
    again = run_script("ablations", *where, "--resume", out=out)
    assert measurements_done(again) == measurements_done(found)


def test_a_verdict_needs_the_whole_interval() -> None:
    assert verdict(0.01, 0.03, BETTER) == "holds"
    assert verdict(-0.03, -0.01, BETTER) == "does not hold"
    assert verdict(-0.01, 0.03, BETTER) == verdict(-0.01, 0.03, ALIKE) == "cannot be told at this scale"
    assert verdict(-0.01, 0.01, ALIKE) == "holds"
    assert verdict(0.03, 0.05, ALIKE) == "does not hold"


def test_claims_are_tested_by_seed_and_by_image() -> None:
    def net(right: str) -> dict[str, object]:
        return {"accuracy": [0.0, right.count("1") / 4], "macs": [1, 2], "correct": right, "groups": "0 0 1 2"}

    nets = {"new": {0: net("1111"), 1: net("1110"), 2: net("1111")}, "old": {0: net("1000"), 1: net("0000")}}
    (row,) = claim_rows([Claim("new is better", "Fig 1", "new", "old")], nets, "tiny")
    assert row["n"] == 2  # the seeds of both
    assert row["difference"]["mean"] == pytest.approx(0.75)
    assert row["verdict"] == "holds"
    assert row["images"]["n"] == 8
    assert row["images"]["value"] == pytest.approx(0.75)
    assert row["images"]["p"] < 0.05
    (turned,) = claim_rows([Claim("old is better", "Fig 1", "old", "new")], nets, "tiny")
    assert turned["difference"]["mean"] == pytest.approx(-0.75)
    assert turned["verdict"] == "does not hold"


def test_measurements_of_ms_ranas_fit_every_setting() -> None:
    found = SearchSpace(SETTINGS["plain"].config).sample(np.random.default_rng(0))
    for trainings in PLAN.values():
        for name in trainings:
            config = SETTINGS[name].config
            spec = SearchSpace(config).derive(Architecture(config, found.choices))
            assert len(spec.exits) == (4 if SETTINGS[name].exits else 1)


def test_ms_ranas_is_held_against_an_msdnet_of_equal_parameters(tmp_path: Path) -> None:
    write_synthetic(tmp_path / "fruit", 45, Series(0, size=64))
    scale = Scale(str(tmp_path / "fruit"), None, "", str(tmp_path), size=32, effort=0.01, width=1.0, seeds=2)
    measurement = measure("all", 0, scale)
    assert set(measurement["nets"]) == {"msdnet", *(f"all>{training}" for training in PLAN["all"])}
    ours, theirs = (measurement["nets"][arm]["params"][-1] for arm in ("all>all", "msdnet"))
    assert theirs == pytest.approx(ours, rel=0.02)
    rows = summarise({"ms-ranas/all/0": measurement, "ms-ranas/all/1": measurement}, scale)
    assert {"Fig 5", "Fig 6", "Figs 9, 10"} <= {row["where"] for row in rows}


def test_the_anytime_mean_counts_only_budgets_that_both_can_spend() -> None:
    late = {"macs": [100, 400], "accuracy": [0.5, 0.9]}
    early = {"macs": [10, 400], "accuracy": [0.5, 0.7]}
    # From 100 on, both show their first exit up to 400, where their last one alone is paid for.
    assert _mean_beyond(late, early) == pytest.approx(0.5 + 0.4 / 101)
    assert _mean_beyond(early, late) == pytest.approx(0.5 + 0.2 / 101)


def test_the_spread_of_steps_ignores_what_was_dropped() -> None:
    steps = {"trained": [[10, 10, 2]], "alive": [[True, True, False]], "preferred": [[0.7, 0.3, 0.0]]}
    even = spread_in(steps)
    assert even["variation"] == 0
    assert even["winner"] == pytest.approx(10 / 22)
    uneven = spread_in({**steps, "alive": [[True, True, True]]})
    assert uneven["variation"] > 0.5


def test_what_networks_and_what_seeds_make_is_told_apart() -> None:
    rng = np.random.default_rng(0)
    accuracies = 0.7 + 0.05 * rng.standard_normal((400, 1)) + 0.02 * rng.standard_normal((400, 3))
    found = components(accuracies.tolist())
    assert found["sd of networks"] == pytest.approx(0.05, rel=0.1)
    assert found["sd of seeds"] == pytest.approx(0.02, rel=0.1)
    assert components([[0.1, 0.9], [0.9, 0.1]])["sd of networks"] == 0.0


def test_random_prunings_keep_as_many_connections_as_asked() -> None:
    space, rng = SearchSpace(SEARCHES["full"][0]), np.random.default_rng(0)
    shares = [share_kept(space, randomly_pruned(space, 0.3, rng)) for _ in range(20)]
    assert np.mean(shares) == pytest.approx(0.3, abs=0.03)
