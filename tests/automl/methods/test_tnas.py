"""TNAS: how ε rises, where draws come from, and how the VAE meets the multinomial."""

from typing import Literal

import numpy as np
import pytest
from mixed import search_of

from mango_grader.automl.architecture import Architecture
from mango_grader.automl.methods import TnasG, TnasGSettings, TnasOs, TnasOsSettings
from mango_grader.automl.relaxations.binary_gates import BinaryGateSettings
from mango_grader.automl.samplers import EvolutionSettings, VaeSettings
from mango_grader.progress import SilentProgress
from mango_grader.training.recipe import WeightRecipe

_WEIGHTS = WeightRecipe(lr=0.05)
_VAE = VaeSettings(width=16, heads=2, layers=1, kept=4, steps=25)
ONE_SHOT = TnasOsSettings(
    epochs=4,
    epsilon_step=0.4,
    samples=8,
    recalibration=0,
    vae=_VAE,
    evolution=EvolutionSettings(population=6, generations=2, parents=3, crossovers=3, mutations=3),
    weights=_WEIGHTS,
)
GRADIENT = TnasGSettings(epochs=3, samples=8, vae=_VAE, weights=_WEIGHTS)


def prefers_k3(found: Architecture) -> float:
    return float(found.choices["one"] == ("k3",)) + len(found.choices["any"]) / 10


def one_shot(step: float = 0.4) -> TnasOs:
    method = search_of(TnasOs, ONE_SHOT).method
    assert isinstance(method, TnasOs)
    method.settings = TnasOsSettings(**{**vars(ONE_SHOT), "epsilon_step": step})
    return method


@pytest.mark.parametrize(("step", "expected"), [(0.0, [0, 0, 0, 0]), (0.4, [0, 0.4, 0.8, 1]), (0.5, [0, 0.5, 1, 1])])
def test_epsilon_rises_with_each_fit_and_ends_at_one(step: float, expected: list[float]) -> None:
    method, rng, seen = one_shot(step), np.random.default_rng(0), []
    for _ in range(4):
        method.refit(rng)
        seen.append(method.epsilon)
        method.end_epoch(prefers_k3, rng)
    assert seen == pytest.approx(expected)


def test_draws_turn_from_uniform_to_what_scored_well() -> None:
    method, rng = one_shot(1.0), np.random.default_rng(0)
    at_first = method.preference()["one"]
    np.testing.assert_allclose(at_first, 0.5, atol=0.1)
    for _ in range(4):
        method.end_epoch(prefers_k3, rng)
        method.refit(rng)
    assert method.preference()["one"][1] > 0.8
    method.epsilon = 0.5
    assert 0.6 < method.preference()["one"][1] < 0.9, "half of the draws are uniform again"


def test_only_feasible_architectures_are_learned_from() -> None:
    method, rng = one_shot(), np.random.default_rng(0)
    method.feasible = lambda found: found.choices["one"] == ("k1",)
    method.end_epoch(prefers_k3, rng)
    learned = [method.space.decode(tokens) for tokens in method.sampler.archive]
    assert learned
    assert all(found.choices["one"] == ("k1",) for found in learned)
    assert method.finish(prefers_k3, rng).choices["one"] == ("k1",)


def test_the_first_generation_comes_from_the_vae() -> None:
    method, rng, asked = one_shot(), np.random.default_rng(0), []
    for _ in range(4):
        method.end_epoch(prefers_k3, rng)
        method.refit(rng)

    def score(found: Architecture) -> float:
        asked.append(found)
        return prefers_k3(found)

    method.finish(score, rng)
    assert np.mean([found.choices["one"] == ("k3",) for found in asked[:6]]) > 0.7


def test_effort_keeps_the_pace_of_epsilon() -> None:
    shorter = TnasOsSettings(epochs=100, epsilon_step=0.02).scaled(0.5)
    assert (shorter.epochs, shorter.epsilon_step) == (50, pytest.approx(0.04))
    assert TnasOsSettings(epsilon_step=0.0).scaled(0.1).epsilon_step == 0.0
    assert TnasOsSettings().scaled(0.0).epsilon_step == 1.0


@pytest.mark.parametrize(("method", "settings"), [(TnasOs, ONE_SHOT), (TnasG, GRADIENT)])
def test_a_search_takes_no_more_scores_than_planned(
    method: type[TnasOs] | type[TnasG], settings: TnasOsSettings | TnasGSettings
) -> None:
    search, taken = search_of(method, settings), []
    score = search.evaluator.score

    class Counting:
        def score(self, architecture: Architecture) -> float:
            taken.append(architecture)
            return score(architecture)

    search.evaluator = Counting()
    search.run(SilentProgress())
    assert settings.scores / 2 < len(taken) <= settings.scores


def test_alpha_proposes_to_the_vae() -> None:
    search = search_of(TnasG, TnasGSettings(samples=12, from_alpha=1.0, vae=_VAE))
    method, rng = search.method, np.random.default_rng(0)
    assert isinstance(method, TnasG)
    state = method.binary.state_dict()
    start = sum(len(d.candidates) for d in method.space.decisions if d.name == "node")
    state["logits"][start] = 8.0  # k1 of "one"
    method.end_epoch(lambda _: 0.5, rng)
    method.refit(rng)
    assert method.preference()["one"][0] > 0.8


def test_gradients_move_alpha_and_the_favourite_is_a_candidate_for_the_result() -> None:
    binary = BinaryGateSettings(lr=0.05, cost_weight=0.0)
    search = search_of(TnasG, TnasGSettings(epochs=2, samples=4, vae=_VAE, binary=binary, weights=_WEIGHTS))
    method = search.method
    assert isinstance(method, TnasG)
    search.run(SilentProgress())
    assert float(method.binary.logits.detach().abs().max()) > 0.01
    favourite = method.binary.favourite()
    assert method.finish(lambda found: float(found == favourite), np.random.default_rng(0)) == favourite


@pytest.mark.parametrize("paths", ["two", "all"])
def test_fault_the_path_that_updates_the_weights_updates_the_multinomial(paths: Literal["two", "all"]) -> None:
    """§4.3: "update the super network weight and multinomial distribution parameter accordingly"."""
    binary = BinaryGateSettings(lr=0.05, cost_weight=0.0, paths=paths)
    search = search_of(TnasG, TnasGSettings(epochs=2, samples=4, vae=_VAE, binary=binary, weights=_WEIGHTS))
    method, rng = search.method, np.random.default_rng(0)
    assert isinstance(method, TnasG)
    for number in range(12):
        taken, step = method.gates(rng), search.arch_step(number, rng)
        assert step.shared is not None
        on_the_path = float(step.shared.held_out_loss(taken).detach())
        assert float(method.update(step)["held_out_loss"]) == pytest.approx(on_the_path, rel=1e-4)
    assert float(method.binary.logits.detach().abs().max()) > 0.01


def test_a_warm_up_trains_weights_alone() -> None:
    method = search_of(TnasG, TnasGSettings(epochs=3, warmup=2, vae=_VAE)).method
    assert [round_.kinds for round_ in method.schedule(4)] == ["weights", "weights", "refit-weights-architecture"]
    with pytest.raises(ValueError, match="warmup must be at most epochs"):
        TnasGSettings(epochs=3, warmup=4)
