"""Rounding relaxed scores under limits."""

from itertools import combinations, product

import numpy as np
import pytest
from mixed import MixedConfig

from mango_grader.automl.architecture import Architecture
from mango_grader.automl.limits import InfeasibleError
from mango_grader.automl.relaxations.rounding import drawn_by, nearest_feasible
from mango_grader.automl.search_space import SearchSpace
from mango_grader.automl.spaces import Decision, LayerwiseConfig

SPACES = [
    SearchSpace(MixedConfig(8, 8, 2)),
    SearchSpace(LayerwiseConfig(16, 16, 2, depth=3, channels=8, kernels=(3, 5), dilations=(1,), exits=(1, 3))),
]


def everything(space: SearchSpace) -> list[Architecture]:
    def choices(decision: Decision) -> list[tuple[str, ...]]:
        sizes = range(decision.min_chosen, decision.max_chosen + 1)
        found = [chosen for size in sizes for chosen in combinations(decision.candidates, size)]
        return [chosen for chosen in found if decision.allows(chosen)]

    names = [decision.name for decision in space.decisions]
    return [
        Architecture(space.config, dict(zip(names, taken, strict=True)))
        for taken in product(*map(choices, space.decisions))
    ]


def value(space: SearchSpace, scores: dict[str, np.ndarray], found: Architecture) -> float:
    return sum(scores[d.name][d.candidates.index(c)] for d in space.decisions for c in found.choices[d.name])


@pytest.mark.parametrize("space", SPACES, ids=lambda space: space.config.kind)
def test_the_result_is_feasible_and_among_the_best_that_are(space: SearchSpace) -> None:
    params = {architecture: space.derive(architecture).params()[-1] for architecture in everything(space)}
    for seed in range(20):
        rng = np.random.default_rng(seed)
        scores = {d.name: rng.normal(size=len(d.candidates)) for d in space.decisions}
        limit = np.quantile(list(params.values()), rng.choice([0.1, 0.3, 0.6]))
        found = nearest_feasible(space, scores, lambda a, limit=limit: params[a] <= limit, rng)
        assert params[found] <= limit
        feasible = sorted((value(space, scores, a) for a, size in params.items() if size <= limit), reverse=True)
        assert value(space, scores, found) >= feasible[len(feasible) // 10]


def test_without_limits_it_is_the_nearest() -> None:
    space = SPACES[0]
    for seed in range(5):
        rng = np.random.default_rng(seed)
        scores = {d.name: rng.normal(size=len(d.candidates)) for d in space.decisions}
        assert nearest_feasible(space, scores, lambda _: True, rng) == space.nearest(scores)


def test_a_single_feasible_architecture_is_found() -> None:
    space = SPACES[0]
    scores = {d.name: np.arange(len(d.candidates), dtype=float) for d in space.decisions}
    only = Architecture(space.config, {"node": ("image-k1", "stem-k1"), "one": ("k1",), "any": ()})
    assert nearest_feasible(space, scores, lambda a: a == only, np.random.default_rng(0)) == only


def test_no_decision_could_have_its_favourite_back() -> None:
    space = SearchSpace(LayerwiseConfig(8, 8, 2, depth=12, channels=8))
    scores = {d.name: np.random.default_rng(0).random(len(d.candidates)) for d in space.decisions}
    favourite = space.nearest(scores)
    limit = space.derive(favourite).params()[-1] * 0.6

    def feasible(architecture: Architecture) -> bool:
        return space.derive(architecture).params()[-1] <= limit

    found = nearest_feasible(space, scores, feasible, np.random.default_rng(0))
    others = {name: chosen for name, chosen in favourite.choices.items() if found.choices[name] != chosen}
    assert others
    assert not any(feasible(Architecture(found.space, {**found.choices, n: c})) for n, c in others.items())


def test_limits_that_nothing_satisfies_are_an_error() -> None:
    space = SPACES[0]
    scores = {d.name: np.ones(len(d.candidates)) for d in space.decisions}
    with pytest.raises(InfeasibleError):
        nearest_feasible(space, scores, lambda _: False, np.random.default_rng(0))


def test_draws_follow_the_preference() -> None:
    """χ² of the choice between two and of a free subset's candidates, each with one degree of freedom."""
    space, rng, draws = SPACES[0], np.random.default_rng(0), 2000
    preference = {"node": np.full(4, 0.5), "one": np.array([0.8, 0.2]), "any": np.array([0.1, 0.6, 0.95])}
    found = space.frequencies([drawn_by(space, preference, rng) for _ in range(draws)])
    for name in ("one", "any"):
        shares = preference[name]
        squares = draws * (found[name] - shares) ** 2 / (shares * (1 - shares))
        assert squares.max() < 10.8, f"{name}: p < 0.001"
    assert abs(found["node"] - 0.5).max() < 0.05
    never = {**preference, "one": np.array([0.0, 1.0]), "any": np.zeros(3)}
    assert {drawn_by(space, never, rng).choices["one"] for _ in range(50)} == {("k3",)}
