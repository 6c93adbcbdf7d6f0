import json
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import balanced_accuracy_score, cohen_kappa_score, log_loss, recall_score

from mango_grader.runtime.exits import ExitAt, Full, Threshold, stop_exits
from mango_grader.training.bootstrap import GroupBootstrap, paired_difference
from mango_grader.training.metrics import (
    EvaluationSet,
    ExitMetrics,
    PolicyMetrics,
    exit_metrics,
    policy_metrics,
    quadratic_kappa,
)

MACS, PARAMS = (100, 250, 1000), (10, 20, 40)


def answers(count: int, seed: int, classes: int = 3) -> tuple[NDArray[np.float64], NDArray[np.int64], list[str]]:
    """Three exits, each better than the one before it, on `count` items in groups of up to three."""
    rng = np.random.default_rng(seed)
    labels = np.concatenate([np.arange(classes), rng.integers(0, classes, count - classes)])
    logits = rng.normal(size=(3, count, classes))
    logits[:, np.arange(count), labels] += np.array([[0.5], [1.0], [2.0]])
    powers = np.exp(logits)
    return powers / powers.sum(axis=2, keepdims=True), labels, [f"g{i // 3}" for i in range(count)]


def measure(count: int = 90, seed: int = 0, ordinal: bool = True) -> tuple[ExitMetrics, ...]:
    probabilities, labels, groups = answers(count, seed)
    return exit_metrics(probabilities, EvaluationSet(labels, groups, "ABC", ordinal, seed=1), MACS, PARAMS)


@settings(max_examples=15, deadline=None)
@given(st.integers(5, 60), st.integers(0, 10_000))
def test_figures_are_those_of_scikit_learn(count: int, seed: int) -> None:
    probabilities, labels, groups = answers(count, seed)
    for found, given_ in zip(measure(count, seed), probabilities, strict=True):
        predicted = given_.argmax(axis=1)
        assert found.accuracy.value == pytest.approx((predicted == labels).mean())
        assert found.accuracy.value == pytest.approx(recall_score(labels, predicted, average="weighted"))
        assert found.balanced_accuracy.value == pytest.approx(balanced_accuracy_score(labels, predicted))
        assert found.log_loss.value == pytest.approx(log_loss(labels, given_, labels=[0, 1, 2]))
        assert found.kappa is not None
        assert found.kappa.value == pytest.approx(cohen_kappa_score(labels, predicted, weights="quadratic"))
        recalls = recall_score(labels, predicted, average=None)
        assert [recall and recall.value for recall in found.recalls] == pytest.approx(list(recalls))
        assert sum(map(sum, found.confusion)) == found.count == count
        assert found.groups == len(set(groups))


def test_a_class_without_items_has_no_recall_and_no_say_in_the_balance() -> None:
    probabilities = np.array([[[0.8, 0.1, 0.1], [0.6, 0.3, 0.1], [0.2, 0.7, 0.1], [0.1, 0.8, 0.1]]])
    labels = np.array([0, 0, 0, 1])
    (found,) = exit_metrics(probabilities, EvaluationSet(labels, list("wxyz"), "ABC", ordinal=True), [1], [1])
    assert found.recalls[2] is None
    assert found.balanced_accuracy.value == pytest.approx((2 / 3 + 1) / 2)


def test_extreme_confusion_counts_first_called_last_and_the_reverse() -> None:
    # Two A (one called C), two C (both called A), two B: 3 of the 4 outer fruit.
    predicted = [0, 2, 0, 0, 1, 0]
    probabilities = np.eye(3)[predicted][None] * 0.97 + 0.01
    labels = np.array([0, 0, 2, 2, 1, 1])
    (found,) = exit_metrics(probabilities, EvaluationSet(labels, list("uvwxyz"), "ABC", ordinal=True), [1], [1])
    assert found.extreme_confusion is not None
    assert found.extreme_confusion.value == pytest.approx(3 / 4)


def test_figures_of_order_are_left_out_where_classes_have_none() -> None:
    assert all(each.kappa is None and each.extreme_confusion is None for each in measure(ordinal=False))


def test_calibration_error_by_hand() -> None:
    # Bin of 0.9: 3 of 4 correct (gap 0.15); bin of 0.5: 1 of 1 correct (gap 0.5).
    top = np.array([0.9, 0.9, 0.9, 0.9, 0.5])
    probabilities = np.stack([top, 1 - top], axis=1)[None]
    probabilities[0, 4] = [0.5, 0.5]
    labels = np.array([0, 0, 0, 1, 0])
    (found,) = exit_metrics(probabilities, EvaluationSet(labels, list("vwxyz"), "AB", ordinal=False), [1], [1])
    assert found.calibration_error.value == pytest.approx((4 * 0.15 + 1 * 0.5) / 5)
    assert [(each.count, each.accuracy) for each in found.reliability if each.count] == [(1, 1.0), (4, 0.75)]


def test_kappa_of_full_agreement_on_one_class_is_one() -> None:
    assert quadratic_kappa(np.diag([4.0, 0.0, 0.0])[None]) == pytest.approx(1.0)


def test_json_round_trip() -> None:
    for found in (*measure(), *measure(ordinal=False)):
        assert ExitMetrics.from_dict(json.loads(json.dumps(found.to_dict()))) == found
    probabilities, labels, groups = answers(40, 2)
    policy = policy_metrics(
        "threshold", Threshold((0.6, 0.6)), probabilities, EvaluationSet(labels, groups, "ABC", ordinal=True), MACS
    )
    assert PolicyMetrics.from_dict(json.loads(json.dumps(policy.to_dict()))) == policy


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(0, 1), min_size=4, max_size=60), st.integers(0, 100))
def test_interval_holds_the_value_and_repeats_by_seed(values: list[int], seed: int) -> None:
    groups = [str(index // 2) for index in range(len(values))]

    def mean(sums: NDArray[np.float64]) -> NDArray[np.float64]:
        return sums[:, 0] / sums[:, 1]

    rows = np.stack([values, np.ones(len(values))], axis=1)
    first, second = (GroupBootstrap(groups, seed).estimate(rows, mean) for _ in range(2))
    assert first == second
    assert first.low is not None
    assert first.high is not None
    assert first.low <= first.value + 1e-9
    assert first.high >= first.value - 1e-9


def width(groups: Sequence[str], correct: NDArray[np.int64]) -> float:
    probabilities = np.where(correct[:, None] == 1, [0.9, 0.1], [0.1, 0.9])[None]
    evaluated = EvaluationSet(np.zeros(len(correct), int), groups, "AB", ordinal=False)
    (found,) = exit_metrics(probabilities, evaluated, [1], [1])
    assert found.accuracy.low is not None
    assert found.accuracy.high is not None
    return found.accuracy.high - found.accuracy.low


def test_ten_views_of_one_fruit_count_as_one_observation() -> None:
    fruit = np.random.default_rng(0).integers(0, 2, 40)
    views = np.repeat(fruit, 10)
    grouped = width([str(index // 10) for index in range(400)], views)
    assert grouped == pytest.approx(width([str(index) for index in range(40)], fruit), rel=0.1)
    assert grouped > 2.5 * width([str(index) for index in range(400)], views)


def test_one_group_allows_no_interval() -> None:
    found = GroupBootstrap(["a", "a"], 0).estimate(np.ones((2, 1)), lambda sums: sums[:, 0])
    assert (found.value, found.low, found.high) == (2.0, None, None)


def test_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    rng, covered = np.random.default_rng(3), 0
    for trial in range(200):
        correct = rng.random(120) < 0.8
        found = paired_difference(correct, np.zeros(120), [str(i) for i in range(120)], trial, replicates=400)
        assert found.low is not None
        assert found.high is not None
        covered += found.low <= 0.8 <= found.high
    assert 0.89 <= covered / 200 <= 0.99


def test_paired_difference_sees_what_separate_intervals_would_not() -> None:
    rng = np.random.default_rng(0)
    second = (rng.random(300) < 0.75).astype(int)
    first = second.copy()
    first[np.flatnonzero(second == 0)[:12]] = 1  # the same model, but for twelve mended answers
    groups = [str(index) for index in range(300)]
    found = paired_difference(first, second, groups, seed=0)
    assert found.value == pytest.approx(12 / 300)
    assert found.low is not None
    assert found.low > 0
    assert found.p is not None
    assert found.p < 0.01
    mirrored = paired_difference(second, first, groups, seed=0)
    assert (mirrored.value, mirrored.low, mirrored.p) == pytest.approx((-found.value, -(found.high or 0), found.p))


def test_equal_models_differ_by_nothing() -> None:
    correct = np.array([1, 0, 1, 1])
    found = paired_difference(correct, correct, list("abcd"), seed=0)
    assert (found.value, found.low, found.high, found.p) == (0.0, 0.0, 0.0, 1.0)


def test_policies_of_one_exit_reproduce_that_exit() -> None:
    probabilities, labels, groups = answers(60, 4)
    evaluated = EvaluationSet(labels, groups, "ABC", ordinal=True)
    exits = exit_metrics(probabilities, evaluated, MACS, PARAMS)
    for index in range(3):
        found = policy_metrics("one", ExitAt(index), probabilities, evaluated, MACS)
        assert found.accuracy == exits[index].accuracy
        assert found.macs.value == MACS[index]
        assert found.shares == tuple(float(k == index) for k in range(3))
        assert found.loss.value == pytest.approx(exits[-1].accuracy.value - exits[index].accuracy.value)
    assert policy_metrics("full", Full(), probabilities, evaluated, MACS).cost.value == 1.0


def test_threshold_policy_settles_row_by_row() -> None:
    first = [[0.9, 0.1], [0.6, 0.4], [0.5, 0.5]]
    second = [[0.5, 0.5], [0.2, 0.8], [0.5, 0.5]]
    probabilities = np.array([first, second, [[0.1, 0.9]] * 3])
    policy = Threshold((0.8, 0.7))
    assert stop_exits(policy, probabilities).tolist() == [0, 1, 2]
    found = policy_metrics(
        "t", policy, probabilities, EvaluationSet(np.array([0, 1, 0]), list("abc"), "AB", ordinal=False), MACS
    )
    assert found.macs.value == pytest.approx((100 + 250 + 1000) / 3)
    assert found.accuracy.value == pytest.approx(2 / 3)
