"""Fair paths: what share of the steps trains each candidate."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from kinds import kinds, legal

from mango_grader.automl.methods import (
    METHODS,
    EnasSettings,
    MethodSettings,
    RandomSettings,
    SearchMethod,
    SposSettings,
    TnasGSettings,
    TnasOsSettings,
)
from mango_grader.automl.samplers import FairPaths, VaeSettings
from mango_grader.automl.search_space import SearchSpace
from mango_grader.automl.spaces import DagConfig
from mango_grader.training.checkpoint import load_checkpoint, save_checkpoint
from mango_grader.training.device import seed_everything

UNIFORM: dict[str, MethodSettings] = {
    "random": RandomSettings(),
    "spos": SposSettings(),
    "enas": EnasSettings(),
    "tnas-os": TnasOsSettings(),
    "tnas-g": TnasGSettings(),
}
SPARSE = SearchSpace(DagConfig(8, 8, 2, levels=2, stages=(1,), exits=(1,), edge_probability=0.3))


@pytest.fixture
def space() -> SearchSpace:
    return kinds()


def steps_by_candidate(method: SearchMethod, steps: int) -> dict[str, np.ndarray]:
    counts = {decision.name: np.zeros(len(decision.candidates), dtype=int) for decision in method.space.decisions}
    rng = np.random.default_rng(0)
    for _ in range(steps):
        for name, gate in method.gates(rng).items():
            counts[name][list(gate.active)] += 1
    return counts


@pytest.mark.parametrize("name", UNIFORM)
def test_a_fair_method_trains_all_candidates_equally_often(name: str, space: SearchSpace) -> None:
    settings = replace(UNIFORM[name], fair=True)
    counts = steps_by_candidate(METHODS[name](space, lambda _: True, settings), 30)
    assert counts["first"].tolist() == counts["second"].tolist() == [6] * 5
    assert counts["edges"].tolist() == [10] * 6, "two of six at a time"
    assert counts["any"].tolist() == [15] * 4, "every other step"


def test_by_chance_some_candidates_are_trained_much_more_than_others(space: SearchSpace) -> None:
    counts = steps_by_candidate(METHODS["random"](space, lambda _: True, RandomSettings()), 30)
    assert max(np.ptp(counts[name]) for name in counts) >= 4


def test_each_round_trains_each_candidate_once(space: SearchSpace) -> None:
    paths, rng = FairPaths(space), np.random.default_rng(1)
    rounds = [[paths.draw(rng).choices["first"][0] for _ in range(5)] for _ in range(40)]
    assert all(sorted(each) == list("abcde") for each in rounds)
    assert len({tuple(each) for each in rounds}) > 25, "in another order each time"


def test_fair_paths_are_legal_and_never_far_apart(space: SearchSpace) -> None:
    paths, rng = FairPaths(space), np.random.default_rng(2)
    for _ in range(100):
        assert legal(space, paths.draw(rng))
        assert all(np.ptp(counts) <= 2 for counts in paths.trained.values())


def test_a_subset_keeps_to_its_probability() -> None:
    paths, rng = FairPaths(SPARSE), np.random.default_rng(3)
    for step in range(1, 101):
        paths.draw(rng)
        assert all(np.all(np.abs(counts - 0.3 * step) <= 1) for counts in paths.trained.values())


def test_marginals_of_fair_paths_are_even(space: SearchSpace) -> None:
    """Every first path of a round is an even one: a candidate's turn depends on nothing but the others'."""
    rng = np.random.default_rng(4)
    shares = space.frequencies([FairPaths(space).draw(rng) for _ in range(600)])
    for name, share in {"first": 1 / 5, "second": 1 / 5, "edges": 1 / 3, "any": 1 / 2}.items():
        np.testing.assert_allclose(shares[name], share, atol=0.1)


def test_restored_paths_go_on_the_same(space: SearchSpace, tmp_path: Path) -> None:
    settings = RandomSettings(fair=True)
    whole, first, second = (METHODS["random"](space, lambda _: True, settings) for _ in range(3))
    rng, again = np.random.default_rng(5), np.random.default_rng(5)
    for _ in range(7):
        whole.gates(rng), first.gates(again)
    save_checkpoint(tmp_path / "state.safetensors", first.state_dict())
    second.load_state_dict(load_checkpoint(tmp_path / "state.safetensors"))
    assert [second.gates(again) for _ in range(7)] == [whole.gates(rng) for _ in range(7)]


def test_fair_paths_are_refused_where_the_controller_draws_them() -> None:
    with pytest.raises(ValueError, match="schedule=two_phases"):
        EnasSettings(fair=True, schedule="alternating")


def shares_of_steps(settings: TnasGSettings, seed: int) -> float:
    """Return the steps of the least-trained candidate as a share of those of the most-trained, the mean over decisions.

    Scores are noise: whatever is trained more than the rest is trained more by luck.
    """
    seed_everything(seed)
    space, noise = kinds(), np.random.default_rng(seed)
    method, rng = METHODS["tnas-g"](space, lambda _: True, settings), np.random.default_rng(seed)
    counts = {decision.name: np.zeros(len(decision.candidates)) for decision in space.decisions}
    for round_ in method.schedule(steps_per_epoch=20):
        for kind in round_.steps():
            if kind == "weights":
                for name, gate in method.gates(rng).items():
                    counts[name][list(gate.active)] += 1
            elif kind == "refit":
                method.refit(rng)
        method.end_epoch(lambda _: noise.normal(), rng)
    return float(np.mean([steps.min() / steps.max() for steps in counts.values()]))


def test_after_a_warm_up_no_candidate_is_starved_by_a_few_random_scores() -> None:
    """The first five scores decided which candidates were trained: in `nasnet` others had 2 to 6 % of their steps."""
    settings = TnasGSettings(epochs=9, samples=5, vae=VaeSettings(width=16, heads=2, layers=1, steps=30))
    starved = np.mean([shares_of_steps(settings, seed) for seed in range(3)])
    warm = np.mean([shares_of_steps(replace(settings, warmup=3, fair=True), seed) for seed in range(3)])
    assert warm > starved + 0.1
