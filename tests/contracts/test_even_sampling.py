"""Even sampling: every legal choice of a decision is equally likely, wherever a path is drawn before anything is known.

Tokens that rise, each uniform over its legal values, kept few candidates of a subset, and late ones: 1.9 of 9 inputs of
an operation in `dag`, its first input in 11 % of draws and its last in 49 %.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from cases import METHODS, OPEN_EVERYTHING, SPACES
from numpy.typing import NDArray
from scipy.stats import chisquare
from searching import make

from mango_grader.automl.architecture import Architecture
from mango_grader.automl.methods import SearchMethod
from mango_grader.automl.samplers import Evolution, EvolutionSettings
from mango_grader.automl.search_space import SearchSpace
from mango_grader.automl.spaces import DagConfig, Decision, SpaceConfig

DRAWS = 800
SURPRISING = 1e-5  # p-value; a draw that is not even lies many orders below it
DEVIATIONS = 5.0

_DAG = SPACES["dag"]
assert isinstance(_DAG, DagConfig)
SPARSE = replace(_DAG, edge_probability=0.2)


@pytest.fixture(params=[*SPACES.values(), SPARSE], ids=[*SPACES, "dag, few edges"])
def config(request: pytest.FixtureRequest) -> SpaceConfig:
    return request.param


def legal_choices(decision: Decision) -> Iterator[tuple[str, ...]]:
    sizes = range(decision.min_chosen, decision.max_chosen + 1)
    return (c for size in sizes for c in combinations(decision.candidates, size) if decision.allows(c))


def even_shares(decision: Decision) -> NDArray[np.float64]:
    """Return how often an even draw chooses each candidate, by counting the legal choices one by one."""
    odds = decision.probability / (1 - decision.probability)
    shares, whole = np.zeros(len(decision.candidates)), 0.0
    for choice in legal_choices(decision):
        weight = odds ** len(choice)
        whole += weight
        shares[[decision.candidates.index(name) for name in choice]] += weight
    return shares / whole


def assert_even(space: SearchSpace, drawn: Sequence[Architecture]) -> None:
    """Check exclusive sets of candidates by their shares, and choices by χ² where there are few enough for it."""
    shares = space.frequencies(drawn)
    for decision in space.decisions:
        even = even_shares(decision)
        found, expected = (
            np.array([each[list(own)].sum() for own in decision.sets]) for each in (shares[decision.name], even)
        )
        allowed = DEVIATIONS * np.sqrt(expected * (1 - expected).clip(min=0) / len(drawn))
        assert np.all(np.abs(found - expected) <= allowed + 1e-9), decision.name
        choices = list(legal_choices(decision))
        if len(drawn) >= 5 * len(choices):
            counts = [sum(found.choices[decision.name] == choice for found in drawn) for choice in choices]
            odds = decision.probability / (1 - decision.probability)
            weights = np.array([odds ** len(choice) for choice in choices])
            assert chisquare(counts, len(drawn) * weights / weights.sum()).pvalue > SURPRISING, decision.name


def test_draws_are_even(config: SpaceConfig) -> None:
    space, rng = SearchSpace(config), np.random.default_rng(0)
    assert_even(space, [space.sample(rng) for _ in range(DRAWS)])


def test_tokens_of_an_even_draw_are_as_likely_as_it_says(config: SpaceConfig) -> None:
    space, rng = SearchSpace(config), np.random.default_rng(1)

    def spelled() -> Architecture:
        tokens: list[int] = []
        for _ in space.slots:
            chances = space.chances(tokens)
            tokens.append(int(rng.choice(len(chances), p=chances)))
        return space.decode(tuple(tokens))

    assert_even(space, [spelled() for _ in range(DRAWS)])


def test_mutations_are_even(config: SpaceConfig) -> None:
    space, rng = SearchSpace(config), np.random.default_rng(2)
    anew = EvolutionSettings(parents=1, crossovers=0, mutations=1, probability=1.0)
    parent = space.sample(rng)

    def mutated() -> Architecture:
        evolution = Evolution(space, lambda _: True, anew)
        evolution.tell([(parent, 1.0)])
        return evolution.ask(rng, 1)[0]

    assert_even(space, [mutated() for _ in range(DRAWS)])


def test_the_first_generation_is_even(config: SpaceConfig) -> None:
    space, rng = SearchSpace(config), np.random.default_rng(3)
    drawn = [Evolution(space, lambda _: True, EvolutionSettings()).ask(rng, 1)[0] for _ in range(DRAWS)]
    assert_even(space, drawn)


def paths_opened(method: SearchMethod, rng: np.random.Generator, count: int) -> list[Architecture]:
    def path() -> Architecture:
        gates = method.gates(rng)
        choices = {d.name: tuple(d.candidates[i] for i in sorted(gates[d.name].active)) for d in method.space.decisions}
        return Architecture(method.space.config, choices)

    return [path() for _ in range(count)]


# Subsets, pairs of groups, one of n: what a decision can be.
@pytest.mark.parametrize("kind", [SPACES["dag"], SPARSE, SPACES["multiscale"], SPACES["lite"]], ids=lambda c: c.kind)
@pytest.mark.parametrize("method", METHODS)
def test_the_first_steps_of_a_method_open_even_paths(method: str, kind: SpaceConfig) -> None:
    searcher = make(method, kind).method
    assert (method in OPEN_EVERYTHING) != searcher.opens_one_path
    if method in OPEN_EVERYTHING:
        everything = {d.name: tuple(range(len(d.candidates))) for d in searcher.space.decisions}
        assert {n: gate.active for n, gate in searcher.gates(np.random.default_rng(4)).items()} == everything
    else:
        assert_even(searcher.space, paths_opened(searcher, np.random.default_rng(4), DRAWS // 2))


@pytest.mark.parametrize("kind", [SPACES["dag"], SPARSE, SPACES["multiscale"], SPACES["lite"]], ids=lambda c: c.kind)
@pytest.mark.parametrize("method", [name for name in METHODS if name not in OPEN_EVERYTHING])
def test_the_first_proposals_of_a_method_are_even(method: str, kind: SpaceConfig) -> None:
    searcher = make(method, kind).method
    assert_even(searcher.space, searcher.propose(np.random.default_rng(5), DRAWS // 4))
