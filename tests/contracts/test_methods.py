"""What every search method must keep to, on every space."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from cases import LEARNING_METHODS, METHODS, SPACES
from planted import SCORED, PlantedSpace, best_found
from searching import examples, make

from mango_grader.automl import methods
from mango_grader.automl.architecture import Architecture
from mango_grader.automl.limits import Limits
from mango_grader.automl.sandwich import SandwichRule
from mango_grader.automl.search import Search
from mango_grader.automl.search_space import SearchSpace
from mango_grader.automl.spaces import SpaceConfig
from mango_grader.models import FromBytes, build_network
from mango_grader.progress import SilentProgress, Task
from mango_grader.training.losses import AnytimeLoss

ONE_PATH = [name for name in METHODS if methods.METHODS[name].opens_one_path]


@cache
def finished(method: str, config: SpaceConfig) -> tuple[Search, Architecture]:
    """Run a whole search, once for all tests that only look at it."""
    search = make(method, config)
    return search, search.run(SilentProgress())


@pytest.fixture(params=METHODS)
def method(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(params=SPACES.values(), ids=SPACES.keys())
def config(request: pytest.FixtureRequest) -> SpaceConfig:
    return request.param


def test_the_result_is_legal_and_within_limits(method: str, config: SpaceConfig) -> None:
    space = SearchSpace(config)
    sizes = [space.derive(space.sample(np.random.default_rng(i))).params()[-1] for i in range(30)]
    limits = Limits(max_params=int(np.median(sizes)))
    found = make(method, config, limits=limits).run(SilentProgress())
    assert Architecture.from_dict(found.to_dict()) == found
    assert limits.feasible(space, found)


def test_the_same_seed_finds_the_same(method: str, config: SpaceConfig) -> None:
    first, found = finished(method, config)
    second = make(method, config)
    assert second.run(SilentProgress()) == found
    assert second.history == first.history


class StopRunError(Exception):
    pass


class StopsAfter(SilentProgress):
    def __init__(self, rounds: int) -> None:
        self.rounds = rounds

    @contextmanager
    def task(self, name: str, total: int, done: int = 0) -> Iterator[Task]:
        class Counting:
            def advance(_, count: int = 1, *, left: float | None = None, **figures: float) -> None:  # noqa: N805 (self is the outer one)
                self.rounds -= count
                if self.rounds < 0:
                    raise StopRunError

        yield Counting()


@pytest.mark.parametrize("rounds", [1, 2])
def test_an_interrupted_search_ends_the_same(method: str, config: SpaceConfig, rounds: int, tmp_path: Path) -> None:
    whole, expected = finished(method, config)
    checkpoint = tmp_path / "search.safetensors"
    with pytest.raises(StopRunError):
        make(method, config, checkpoint).run(StopsAfter(rounds))
    resumed = make(method, config, checkpoint)
    assert resumed.run(SilentProgress()) == expected
    assert_same(resumed, whole)


@pytest.mark.parametrize("one_path", ONE_PATH)
def test_an_interrupted_search_under_the_sandwich_rule_ends_the_same(one_path: str, tmp_path: Path) -> None:
    config, rule, checkpoint = SPACES["lite"], SandwichRule(drawn=2), tmp_path / "search.safetensors"
    whole = make(one_path, config, sandwich=rule)
    expected = whole.run(SilentProgress())
    with pytest.raises(StopRunError):
        make(one_path, config, checkpoint, sandwich=rule).run(StopsAfter(1))
    resumed = make(one_path, config, checkpoint, sandwich=rule)
    assert resumed.run(SilentProgress()) == expected
    assert_same(resumed, whole)


def assert_same(one: Search, other: Search) -> None:
    assert one.history == other.history
    assert one.training is not None
    assert other.training is not None
    theirs = other.training.net.state_dict()
    assert all(torch.equal(value, theirs[name]) for name, value in one.training.net.state_dict().items())


def test_it_says_whether_its_weight_steps_open_one_path(method: str, config: SpaceConfig) -> None:
    searcher = make(method, config).method
    gates = searcher.gates(np.random.default_rng(0))
    chosen = {d.name: tuple(d.candidates[index] for index in gates[d.name].active) for d in searcher.space.decisions}
    one_path = all(decision.allows(chosen[decision.name]) for decision in searcher.space.decisions)
    assert one_path or not searcher.opens_one_path
    assert all(gate.weight is None for gate in gates.values()) == searcher.opens_one_path


def test_scoring_leaves_no_trace(method: str, config: SpaceConfig) -> None:
    search = make(method, config)
    assert search.training is not None
    net = search.training.net.train()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    search.evaluator.score(search.method.space.sample(np.random.default_rng(0)))
    assert all(module.training for module in net.modules())
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


def test_the_result_trains(method: str, config: SpaceConfig) -> None:
    _, found = finished(method, config)
    torch.manual_seed(0)
    net = build_network(SearchSpace(config).derive(found))
    optimiser = torch.optim.Adam(net.parameters(), lr=0.01)
    batch = examples(config)[0].take(np.arange(24))
    losses = []
    for _ in range(15):
        loss = AnytimeLoss()(net(FromBytes()(batch.images)), batch.labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.7 * losses[0]


@pytest.mark.parametrize("learner", LEARNING_METHODS)
def test_it_learns_from_its_steps(learner: str, config: SpaceConfig) -> None:
    before = flat(make(learner, config).method.state_dict())
    after = flat(finished(learner, config)[0].method.state_dict())
    assert any(before[key].shape != after[key].shape or not torch.equal(before[key], after[key]) for key in before)


@pytest.mark.parametrize("learner", [name for name in SCORED if name != "random"])
def test_a_planted_optimum_is_found_sooner_than_by_chance(learner: str) -> None:
    space = SearchSpace(PlantedSpace(8, 8, 2))
    learned = [best_found(learner, space, seed, evaluations=240) for seed in range(5)]
    by_chance = [best_found("random", space, seed, evaluations=240) for seed in range(5)]
    assert np.mean(learned) > np.mean(by_chance) + 0.1


def flat(state: object, prefix: str = "") -> dict[str, torch.Tensor]:
    if isinstance(state, torch.Tensor):
        return {prefix: state.clone()}
    items = state.items() if isinstance(state, dict) else enumerate(state) if isinstance(state, list | tuple) else ()
    return {key: value for name, item in items for key, value in flat(item, f"{prefix}/{name}").items()}
