"""Evolution: legal, feasible, always new, and never worse than what it was told."""

import numpy as np
import pytest
from kinds import kinds, legal

from mango_grader.automl.architecture import Architecture
from mango_grader.automl.limits import InfeasibleError
from mango_grader.automl.samplers import Evolution, EvolutionSettings, VaeSampler, VaeSettings
from mango_grader.automl.search_space import SearchSpace

SETTINGS = EvolutionSettings(population=12, generations=6, parents=4, crossovers=6, mutations=6, probability=0.3)


@pytest.fixture
def space() -> SearchSpace:
    return kinds()


def wanted(architecture: Architecture) -> float:
    """Score four decisions of four kinds, the last by what is in it."""
    choices = architecture.choices
    right = [choices["first"] == ("b",), choices["second"] == ("e",), choices["edges"] == ("a:x", "c:y")]
    return sum(right) + len(choices["any"]) / 4


def not_a(architecture: Architecture) -> bool:
    return architecture.choices["first"] != ("a",) and "p" not in architecture.choices["any"]


def test_proposals_are_legal_feasible_and_never_repeat(space: SearchSpace) -> None:
    evolution, rng, seen = Evolution(space, not_a, SETTINGS), np.random.default_rng(0), []
    for _ in range(6):
        asked = evolution.ask(rng, 12)
        assert len(asked) == 12
        seen += asked
        evolution.tell([(found, wanted(found)) for found in asked])
    assert all(legal(space, found) and not_a(found) for found in seen)
    assert len(set(seen)) == len(seen)


def test_children_take_each_decision_from_a_parent_or_anew(space: SearchSpace) -> None:
    rng = np.random.default_rng(0)
    parents = [space.sample(rng) for _ in range(2)]
    crossing = Evolution(space, lambda _: True, EvolutionSettings(parents=2, crossovers=5, mutations=0))
    crossing.tell([(parent, 1.0) for parent in parents])
    for child in crossing.ask(rng, 5):
        assert all(child.choices[d.name] in [parent.choices[d.name] for parent in parents] for d in space.decisions)
    mutating = Evolution(space, lambda _: True, EvolutionSettings(parents=1, crossovers=0, mutations=200))
    mutating.tell([(parents[0], 1.0)])
    children = mutating.ask(rng, 150)
    changed = [[child.choices[d.name] != parents[0].choices[d.name] for d in space.decisions] for child in children]
    assert all(any(row) for row in changed)
    assert np.all(np.mean(changed, axis=0) > 0.05), "every decision mutates"
    assert np.mean(changed) < 0.6, "most of a parent is kept"


def test_the_best_is_never_lost_and_grows(space: SearchSpace) -> None:
    grown = []
    for seed in range(5):
        told: list[float] = []

        def score(architecture: Architecture, told: list[float] = told) -> float:
            told.append(wanted(architecture))
            return told[-1]

        found = Evolution(space, lambda _: True, SETTINGS).run(score, np.random.default_rng(seed))
        assert wanted(found) == max(told)
        assert len(told) <= SETTINGS.scores
        grown.append(np.mean(told[-12:]) - np.mean(told[:12]))
    assert np.mean(grown) > 0.5


def test_a_small_space_is_used_up_and_no_more(space: SearchSpace) -> None:
    few = {space.sample(np.random.default_rng(seed)) for seed in range(3)}
    evolution, rng = Evolution(space, few.__contains__, SETTINGS), np.random.default_rng(0)
    evolution.tell([(found, 1.0) for found in few])
    assert evolution.ask(rng, 12) == []


def test_where_nothing_is_feasible_it_says_so(space: SearchSpace) -> None:
    with pytest.raises(InfeasibleError, match="satisfies the limits"):
        Evolution(space, lambda _: False, SETTINGS).run(wanted, np.random.default_rng(0))


def test_another_sampler_may_give_the_first_generation(space: SearchSpace) -> None:
    vae, rng = VaeSampler(space, VaeSettings(layers=1)), np.random.default_rng(0)
    good = [found for found in (space.sample(rng) for _ in range(600)) if wanted(found) >= 1.0]
    vae.remember([(found, wanted(found)) for found in good])
    for _ in range(3):
        vae.fit()
    from_vae = Evolution(space, not_a, SETTINGS, vae).ask(rng, 12)
    uniform = Evolution(space, not_a, SETTINGS).ask(rng, 12)
    assert len(set(from_vae)) == 12
    assert all(not_a(found) for found in from_vae)
    assert np.mean([wanted(found) for found in from_vae]) > np.mean([wanted(found) for found in uniform]) + 0.3


@pytest.mark.parametrize("effort", [0.0, 0.1, 0.5, 2.0])
def test_effort_scales_the_scores(effort: float) -> None:
    published = EvolutionSettings()
    assert published.scores == 1000
    assert published.scaled(effort).scores == pytest.approx(1000 * effort, rel=0.15, abs=1)
