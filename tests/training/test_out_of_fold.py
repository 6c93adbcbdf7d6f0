"""Regression on features, each image answered by what was fitted without its fold."""

import numpy as np

from mango_grader.training.linear_probe import out_of_fold


def drawn(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = np.arange(120) % 3
    features = (rng.normal(size=(120, 6)) + 3.0 * np.eye(3, 6)[labels]).astype(np.float32)
    return features, labels, rng.integers(0, 4, 120)


def test_answers_are_probabilities_and_mostly_correct() -> None:
    features, labels, folds = drawn()
    found = out_of_fold(features, labels, folds, 3)
    np.testing.assert_allclose(found.sum(1), 1)
    assert (found.argmax(1) == labels).mean() > 0.8


def test_no_answer_depends_on_labels_of_its_own_fold() -> None:
    features, labels, folds = drawn()
    other = labels.copy()
    other[folds == 2] = (other[folds == 2] + 1) % 3
    trusted = folds != 2  # so that the other folds do not learn the changed labels either
    before, after = (out_of_fold(features, each, folds, 3, trusted) for each in (labels, other))
    assert np.array_equal(before.argmax(1), after.argmax(1))


def test_what_is_not_trusted_is_answered_and_not_learned() -> None:
    features, labels, folds = drawn()
    poisoned, trusted = labels.copy(), np.ones(120, bool)
    poisoned[:50], trusted[:50] = 0, False
    found, misled = (out_of_fold(features, poisoned, folds, 3, each) for each in (trusted, None))
    assert (found.argmax(1) == labels).mean() > 0.8
    assert (misled.argmax(1) == labels).mean() < 0.8


def test_a_class_that_the_other_folds_lack_is_hardly_given() -> None:
    features, labels, folds = drawn()
    folds = np.where(labels == 2, 0, 1 + folds % 2)
    found = out_of_fold(features, labels, folds, 3)
    assert found[folds == 0, 2].max() < 1e-3
