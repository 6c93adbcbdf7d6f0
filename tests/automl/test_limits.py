"""Limits: each alone, the narrowing of spaces, and the width of results."""

from dataclasses import replace

import numpy as np
import pytest

from mango_grader.automl.architecture import Architecture
from mango_grader.automl.limits import InfeasibleError, Latency, Limits, fitted, widest
from mango_grader.automl.search_space import SearchSpace
from mango_grader.automl.spaces import LayerwiseConfig
from mango_grader.models import NetworkSpec

WIDE = LayerwiseConfig(16, 16, 2, depth=3, channels=64, kernels=(3, 5), dilations=(1,), exits=(1, 3))


def pretended(spec: NetworkSpec) -> float:
    return spec.macs()[-1] / 1e6


@pytest.fixture
def found() -> Architecture:
    return SearchSpace(WIDE).sample(np.random.default_rng(0))


def test_every_limit_counts_alone(found: Architecture) -> None:
    space = SearchSpace(WIDE)
    spec = space.derive(found)
    exact = {"max_params": spec.params()[-1], "max_macs": spec.macs()[-1], "max_latency": pretended(spec)}
    for name, value in exact.items():
        assert Limits(**{name: value}).feasible(space, found, pretended)
        assert not Limits(**{name: value * 0.999}).feasible(space, found, pretended)


def test_latency_is_asked_for_last_and_only_if_limited(found: Architecture) -> None:
    asked: list[NetworkSpec] = []

    def latency(spec: NetworkSpec) -> float:
        asked.append(spec)
        return 1.0

    space = SearchSpace(WIDE)
    assert Limits(max_params=10**9).feasible(space, found, latency)
    assert not Limits(max_params=1, max_latency=2.0).feasible(space, found, latency)
    assert not asked, "it may have to be measured"
    assert Limits(max_params=10**9, max_latency=2.0).feasible(space, found, latency)
    assert len(asked) == 1


def test_limits_are_named_by_their_options() -> None:
    assert str(Limits(max_params=7, max_latency=2.5)) == "--max-params 7 and --max-latency 2.5"
    assert not Limits()
    assert Limits(max_macs=1)


def test_latency_narrows_a_space_as_macs_do() -> None:
    narrow = fitted(WIDE, Limits(max_macs=300_000))
    assert narrow.multiplier < 1
    assert fitted(WIDE, Limits(max_latency=0.3), pretended) == narrow
    rng, space = np.random.default_rng(1), SearchSpace(narrow)
    assert np.mean([Limits(max_macs=300_000).feasible(space, space.sample(rng)) for _ in range(200)]) > 0.6


@pytest.mark.parametrize(
    ("limits", "latency"), [(Limits(max_params=9000), pretended), (Limits(max_latency=0.5), pretended)]
)
def test_the_widest_is_feasible_and_one_notch_more_is_not(
    found: Architecture, limits: Limits, latency: Latency
) -> None:
    result = widest(found, limits, latency)
    assert result.choices == found.choices
    assert limits.feasible(SearchSpace(result.space), result, latency)
    wider = replace(result.space, multiplier=result.space.multiplier * 1.0101)
    assert not limits.feasible(SearchSpace(wider), Architecture(wider, result.choices), latency)


def test_width_grows_as_well_as_shrinks_within_its_range(found: Architecture) -> None:
    assert widest(found, Limits(max_params=50_000)).space.multiplier > 1
    assert widest(found, Limits(max_params=10**9)).space.multiplier == 4
    with pytest.raises(InfeasibleError, match="satisfies the limits"):
        widest(found, Limits(max_params=10))
