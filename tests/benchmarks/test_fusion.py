"""Support vector machines that fuse the features of several frozen networks, or their decisions."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.lib.fusion import Answers, Examples, fused_decisions, fused_features, regression

CLASSES, IMAGES = 4, 240
LABELS = np.random.default_rng(0).integers(0, CLASSES, 2 * IMAGES)
GROUPS = [str(place // 2) for place in range(IMAGES)]
HALVES = [np.arange(len(LABELS)) < IMAGES, np.arange(len(LABELS)) >= IMAGES]


def seen(informative: NDArray[np.int64], features: int, seed: int) -> NDArray[np.float32]:
    """Return what a network sees: something of `informative`, and noise."""
    drawn = np.random.default_rng(seed).normal(size=(len(LABELS), features))
    drawn[:, 0] += 4 * informative
    return drawn.astype(np.float32)


def accuracy(answer: Answers, features: list[NDArray[np.float32]]) -> float:
    """Return it for images that were not learned from."""
    tested = HALVES[1]
    return float((answer([each[tested] for each in features]) == LABELS[tested]).mean())


def examples(features: list[NDArray[np.float32]]) -> Examples:
    return Examples([each[HALVES[0]] for each in features], LABELS[HALVES[0]], GROUPS, CLASSES, seed=0)


@pytest.mark.parametrize("learn", [regression, fused_features, fused_decisions])
def test_two_networks_that_each_see_a_half_are_better_together(learn: Callable[[Examples], Answers]) -> None:
    both = [seen(LABELS % 2, 5, seed=1), seen(LABELS // 2, 5, seed=2)]
    alone = [accuracy(learn(examples([each])), [each]) for each in both]
    assert max(alone) < 0.6
    assert accuracy(learn(examples(both)), both) > 0.85


def test_a_network_that_learns_noise_by_heart_is_not_believed() -> None:
    some, noise = seen(LABELS, 3, seed=1), seen(0 * LABELS, 2000, seed=2)
    assert accuracy(fused_decisions(examples([noise])), [noise]) < 0.4
    assert accuracy(fused_decisions(examples([some, noise])), [some, noise]) > 0.85


def test_a_class_without_examples_is_never_answered() -> None:
    two = np.flatnonzero(LABELS[:IMAGES] < 2)
    features = [seen(LABELS, 3, seed=1)]
    few = Examples([features[0][two]], LABELS[two], [str(place) for place in range(len(two))], CLASSES, seed=0)
    for learn in (regression, fused_features, fused_decisions):
        assert set(learn(few)(features).tolist()) == {0, 1}
