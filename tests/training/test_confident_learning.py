"""Confident learning on answers whose true labels are known."""

import numpy as np
import pytest
from numpy.typing import NDArray

from mango_grader.training.confident_learning import confident_joint, label_order, likely_classes


def answers(counts: tuple[int, ...], seed: int) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.bool_]]:
    """Return probabilities of a model that is right in four of five, labels of which 5 % are wrong, and which are."""
    rng = np.random.default_rng(seed)
    classes, truth = len(counts), np.repeat(np.arange(len(counts)), counts)
    logits = rng.normal(size=(len(truth), classes))
    logits[np.arange(len(truth)), truth] += 2.2
    probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    labels, wrong = truth.copy(), np.zeros(len(truth), bool)
    flipped = rng.choice(len(truth), round(0.05 * len(truth)), replace=False)
    labels[flipped] = (labels[flipped] + rng.integers(1, classes, len(flipped))) % classes
    wrong[flipped] = True
    return probabilities, labels, wrong


@pytest.mark.parametrize("counts", [(500, 500), (300, 300, 300), (250,) * 4, (800, 150, 50)])
def test_wrong_labels_come_first_and_few_others_are_called_wrong(counts: tuple[int, ...]) -> None:
    probabilities, labels, wrong = answers(counts, seed=1)
    order = label_order(probabilities, labels)
    assert sorted(order) == list(range(len(labels)))
    assert wrong[order[: len(labels) // 10]].sum() >= 0.6 * wrong.sum()
    likely = likely_classes(probabilities, labels)
    called = (likely >= 0) & (likely != labels)
    assert (called & wrong).sum() >= 0.5 * wrong.sum()
    assert called.sum() <= 0.2 * len(labels)


def test_thresholds_are_the_mean_probability_of_what_is_labelled_so() -> None:
    """By hand: t = (0.7, 0.5); the last image reaches both, the third neither."""
    probabilities = np.array([[0.9, 0.1], [0.5, 0.5], [0.6, 0.4], [0.4, 0.6], [0.7, 0.5]])
    labels = np.array([0, 0, 1, 1, 0])
    assert likely_classes(probabilities, labels).tolist() == [0, 1, -1, 1, 0]
    assert confident_joint(probabilities, labels).tolist() == [[2, 1], [0, 1]]


def test_a_class_without_an_image_is_never_likely() -> None:
    probabilities = np.array([[0.1, 0.2, 0.7], [0.3, 0.1, 0.6], [0.1, 0.5, 0.4]])
    assert 2 not in likely_classes(probabilities, np.array([0, 0, 1]))


def test_a_class_that_is_given_reluctantly_needs_less() -> None:
    """A threshold of one half would miss the mislabelled image of the rare class."""
    common = np.tile([0.95, 0.05], (20, 1))
    rare = np.tile([0.65, 0.35], (5, 1))
    probabilities = np.concatenate([common, rare, [[0.6, 0.4]]])
    labels = np.array([0] * 20 + [1] * 5 + [0])
    assert likely_classes(probabilities, labels)[-1] == 1
