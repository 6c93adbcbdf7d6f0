"""BetaNAS: balance while weights train, and drops."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from mixed import MixedConfig, search_of

from mango_grader.automl.methods.betanas import BetaNas, BetaNasSettings
from mango_grader.automl.relaxations.binary_gates import BinaryGateSettings
from mango_grader.automl.search_space import SearchSpace
from mango_grader.automl.spaces import LayerwiseConfig
from mango_grader.automl.supernet import gates_of
from mango_grader.progress import SilentProgress

SPACE = SearchSpace(
    LayerwiseConfig(12, 12, 2, depth=2, channels=8, kernels=(3, 5), dilations=(1, 2), reduce_at=(), exits=(1, 2))
)
FAST = BinaryGateSettings(lr=0.1)


def betanas(space: SearchSpace = SPACE, **settings: Any) -> BetaNas:
    return BetaNas(space, lambda _: True, replace(BetaNasSettings(binary=FAST), **settings))


def skew(method: BetaNas) -> None:
    """Make the first candidate of each decision the favourite by far."""
    for decision, logits in zip(
        method.space.decisions,
        method.binary.logits.detach().split([len(d.candidates) for d in method.space.decisions]),
        strict=True,
    ):
        logits[:] = -3.0 if not decision.free else 0.0
        logits[0] = 3.0


def run_weight_steps(method: BetaNas, steps: int) -> None:
    rng = np.random.default_rng(0)
    for _ in range(steps):
        method.gates(rng)


@pytest.mark.parametrize("space", [SPACE, SearchSpace(MixedConfig(8, 8, 2))], ids=["layerwise", "mixed"])
def test_round_robin_trains_the_living_equally_often(space: SearchSpace) -> None:
    method = betanas(space, balance="round_robin")
    skew(method)
    run_weight_steps(method, 24)
    for decision in space.decisions:
        assert np.ptp(method.trained[decision.name]) == 0


def test_round_robin_goes_on_among_those_that_are_left() -> None:
    method = betanas(balance="round_robin")
    skew(method)
    run_weight_steps(method, 12)
    method.binary.live[1] = False  # the second convolution of the first layer
    run_weight_steps(method, 12)
    assert method.trained["layer1.convolution"].tolist() == [7, 3, 7, 7]


def test_uniform_paths_are_balanced_within_chance() -> None:
    method = betanas()
    skew(method)
    run_weight_steps(method, 600)
    for counts in method.trained.values():
        expected = 600 / len(counts)
        assert np.all(np.abs(counts - expected) < 4 * np.sqrt(expected))


def test_without_balance_the_favourites_train_more() -> None:
    method = betanas(balance="none", drop_below=0.0)
    skew(method)
    run_weight_steps(method, 200)
    assert all(counts[0] > 180 for counts in method.trained.values())
    assert method.trained["layer1.convolution"].sum() == 200


def test_a_threshold_of_zero_drops_nothing() -> None:
    method = betanas(balance="none", drop_below=0.0)
    skew(method)
    for _ in range(50):
        method.end_epoch(lambda _: 0.0, np.random.default_rng(0))
    assert bool(method.binary.live.all())


def test_drops_start_after_the_warm_up_and_are_final() -> None:
    method = betanas(warmup=2, drop_every=2)
    skew(method)
    alive = []
    for _ in range(4):
        method.end_epoch(lambda _: 0.0, np.random.default_rng(0))
        alive.append(int(method.binary.live.sum()))
    everyone, decisions = len(method.binary.live), len(SPACE.decisions)
    assert alive == [everyone, everyone, everyone, decisions]
    before = {name: counts.copy() for name, counts in method.trained.items()}
    run_weight_steps(method, 20)
    assert all((method.trained[name] - counts)[1:].max() == 0 for name, counts in before.items())


def test_the_plan_alternates_within_an_epoch() -> None:
    method = betanas(epochs=5, warmup=2, interval=4)
    rounds = [list(round_.steps()) for round_ in method.schedule(12)]
    assert rounds == [["weights"] * 12] * 2 + [(["weights"] * 4 + ["architecture"]) * 3] * 3


def test_an_architecture_step_leaves_the_weights() -> None:
    search = search_of(BetaNas, BetaNasSettings(binary=FAST))
    assert search.training is not None
    before = {name: value.detach().clone() for name, value in search.training.net.named_parameters()}
    figures = search.method.update(search.arch_step(0, np.random.default_rng(0)))
    assert set(figures) == {"held_out_loss", "expected_cost", "live"}
    assert all(
        torch.equal(value, before[name]) and value.grad is None
        for name, value in search.training.net.named_parameters()
    )


def test_held_out_loss_teaches_which_candidate_is_right() -> None:
    settings = BetaNasSettings(binary=replace(FAST, cost_weight=0.0))
    search, rng = search_of(BetaNas, settings, MixedConfig(8, 8, 2)), np.random.default_rng(0)
    assert search.training is not None
    for step in range(60):
        search.training.step(step, 60, gates_of(search.method.space.sample(rng), search.method.space.decisions))
    for name, value in search.training.net.named_parameters():
        if "block2/one/k3" in name:  # now k1 is right
            torch.nn.init.normal_(value, std=5.0)
    for step in range(40):
        search.method.update(search.arch_step(step, rng))
    assert search.method.preference()["one"][0] > 0.7


def test_a_large_cost_weight_teaches_what_is_cheap() -> None:
    settings = BetaNasSettings(binary=replace(FAST, cost_weight=1000.0))
    search, rng = search_of(BetaNas, settings), np.random.default_rng(0)
    for step in range(30):
        figures = search.method.update(search.arch_step(step, rng))
    assert search.method.preference()["one"][0] > 0.7
    assert float(figures["expected_cost"]) < 0.8


def test_the_result_is_what_the_logits_prefer_within_limits() -> None:
    method = betanas()
    skew(method)
    favourite = method.binary.favourite()
    assert method.finish(lambda _: 0.0, np.random.default_rng(0)) == favourite
    limited = BetaNas(SPACE, lambda found: found.choices["layer1.skip"] != ("none",), BetaNasSettings())
    limited.load_state_dict(method.state_dict())
    found = limited.finish(lambda _: 0.0, np.random.default_rng(0))
    differing = [name for name, chosen in found.choices.items() if chosen != favourite.choices[name]]
    assert differing == ["layer1.skip"]


def test_a_restored_method_goes_on_the_same() -> None:
    settings = BetaNasSettings(epochs=2, balance="round_robin", binary=FAST)
    whole, resumed = search_of(BetaNas, settings), search_of(BetaNas, settings)
    whole.run(SilentProgress())
    resumed.method.load_state_dict(whole.method.state_dict())
    assert isinstance(whole.method, BetaNas)
    assert isinstance(resumed.method, BetaNas)
    for method in (whole.method, resumed.method):
        method.end_epoch(lambda _: 0.0, np.random.default_rng(1))
        run_weight_steps(method, 7)
    assert all(np.array_equal(counts, resumed.method.trained[name]) for name, counts in whole.method.trained.items())
    for name, chances in whole.method.preference().items():
        np.testing.assert_array_equal(chances, resumed.method.preference()[name])
