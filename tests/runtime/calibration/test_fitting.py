import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from mango_grader.runtime.bundle.manifest import Thresholds
from mango_grader.runtime.calibration.fitting import (
    MAX_TEMPERATURE,
    MIN_TEMPERATURE,
    Calibration,
    fit_temperature,
    tune_threshold,
)
from mango_grader.runtime.exits import Threshold, stop_exits
from mango_grader.runtime.exits.signals import SIGNALS, every_signal

MACS = (20, 55, 100)


def softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def calibrated(count: int, seed: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Logits whose softmax is the very distribution that the labels were drawn from."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(scale=1.5, size=(count, 4))
    return logits, (softmax(logits).cumsum(axis=1) > rng.random((count, 1))).argmax(axis=1)


def exits(count: int, seed: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, count)
    logits = rng.normal(size=(3, count, 3))
    logits[:, np.arange(count), labels] += np.array([[0.8], [1.5], [2.5]])
    return softmax(logits), labels


def cost(thresholds: Thresholds, probabilities: NDArray[np.float64]) -> float:
    return float((np.array(MACS)[stop_exits(Threshold.of(thresholds), probabilities)] / MACS[-1]).mean())


@pytest.mark.parametrize("scale", [0.3, 1.0, 2.5, 8.0])
def test_temperature_recovers_a_known_scaling(scale: float) -> None:
    logits, labels = calibrated(4000, seed=1)
    assert fit_temperature(logits * scale, labels) == pytest.approx(scale, rel=0.08)


def test_eighty_images_are_enough_to_come_near() -> None:
    for seed in range(5):
        logits, labels = calibrated(80, seed)
        assert 1.5 < fit_temperature(logits * 2.5, labels) < 3.6


def test_images_that_are_all_right_do_not_make_the_model_certain() -> None:
    logits = np.tile([2.0, 0.0, 0.0], (30, 1))
    assert 0.3 < fit_temperature(logits, np.zeros(30, int)) < 1.0
    assert fit_temperature(logits[:1], np.zeros(1, int)) > 0.75


def test_no_images_leave_the_temperature_alone() -> None:
    assert fit_temperature(np.zeros((0, 3)), np.zeros(0, int)) == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_temperature_stays_in_its_range(scale: float) -> None:
    logits, labels = calibrated(2000, seed=2)
    assert MIN_TEMPERATURE <= fit_temperature(logits * scale, labels) <= MAX_TEMPERATURE


@settings(max_examples=20, deadline=None)
@given(st.integers(20, 120), st.integers(0, 1000), st.floats(0.25, 1.0))
def test_thresholds_keep_the_budget_and_spend_it(count: int, seed: int, budget: float) -> None:
    probabilities, labels = exits(count, seed)
    thresholds = tune_threshold(probabilities, labels, MACS, budget, max_loss=1.0)
    assert len(thresholds.values) == 2
    assert all(0 <= value <= 1 for value in thresholds.values)
    spent = cost(thresholds, probabilities)
    assert spent <= budget + 1e-9
    # One image going one exit further costs at most 0.8 / count; two steps of slack.
    assert spent >= min(budget, 1 - 1.6 / count) - 2 * 0.8 / count - 0.02


@pytest.mark.parametrize("signal", SIGNALS)
def test_a_larger_budget_never_costs_less(signal: str) -> None:
    probabilities, labels = exits(80, 7)
    budgets = np.linspace(0.2, 1, 17)
    tuned = [tune_threshold(probabilities, labels, MACS, budget, 1.0, [signal]) for budget in budgets]
    costs = [cost(one, probabilities) for one in tuned]
    if signal == "agreement":  # Its exit 1 stops nothing, so small budgets cannot be kept.
        kept = [value for value, budget in zip(costs, budgets, strict=True) if value <= budget + 1e-9]
        assert kept == sorted(kept)
        assert kept[-1] > 1.2 * kept[0]
    else:
        assert costs == sorted(costs)
        assert costs[-1] > 3 * costs[0]


def test_the_margin_holds_on_data_that_were_not_seen() -> None:
    over = 0
    for seed in range(20):
        probabilities, labels = exits(80, seed)
        unseen, _ = exits(2000, 1000 + seed)
        over += cost(tune_threshold(probabilities, labels, MACS, max_loss=1.0), unseen) > 0.60
    assert over <= 4


def test_confident_images_leave_first() -> None:
    probabilities, labels = exits(400, 3)
    thresholds = tune_threshold(probabilities, labels, MACS, signals=["confidence"])
    settled = stop_exits(Threshold.of(thresholds), probabilities)
    confidence = probabilities[0].max(axis=1)
    assert confidence[settled == 0].min() >= confidence[settled > 0].max()


def accuracy(thresholds: Thresholds, probabilities: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    settled = stop_exits(Threshold.of(thresholds), probabilities)
    return float((probabilities[settled, np.arange(len(labels))].argmax(axis=1) == labels).mean())


def with_weak_first_exits(count: int, seed: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Two exits that guess, with every confidence, and a last one that knows."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, count)
    guesses = softmax(rng.normal(scale=3, size=(2, count, 3)))
    return np.concatenate([guesses, np.eye(3)[labels][None] * 0.94 + 0.02]), labels


@pytest.mark.parametrize("budget", [0.1, 0.55])
def test_the_budget_yields_where_it_would_clearly_cost_accuracy(budget: float) -> None:
    probabilities, labels = with_weak_first_exits(80, 0)
    chosen = tune_threshold(probabilities, labels, MACS, budget)
    assert accuracy(chosen, probabilities, labels) > 0.95
    assert cost(chosen, probabilities) > 0.9
    if budget == 0.55:
        assert accuracy(tune_threshold(probabilities, labels, MACS, budget, 1.0), probabilities, labels) < 0.8


def test_the_budget_holds_where_early_exits_are_good_enough() -> None:
    held = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        labels = rng.integers(0, 3, 80)
        shared = rng.normal(size=(80, 3)) * 1.2  # what is hard for one exit is hard for all
        shared[np.arange(80), labels] += 3
        probabilities = softmax(shared + rng.normal(size=(3, 80, 3)) * np.array([0.5, 0.3, 0.1])[:, None, None])
        held += cost(tune_threshold(probabilities, labels, MACS), probabilities) <= 0.55
    assert held >= 18


def test_a_single_exit_has_no_thresholds() -> None:
    probabilities, labels = exits(50, 0)
    assert tune_threshold(probabilities[-1:], labels, MACS[-1:]) == Thresholds("confidence", ())


@pytest.mark.parametrize("signal", ["confidence", "margin", "entropy"])
def test_the_signal_that_answers_best_is_taken(signal: str) -> None:
    logits = np.random.default_rng(0).normal(scale=2, size=(2, 2000, 4))
    probabilities = softmax(logits)
    sure = every_signal(signal, probabilities)[0]
    first, last = probabilities.argmax(axis=2)
    # Exit 1 is correct where this signal is sure, the last exit elsewhere; two thirds of the images may stop early.
    labels = np.where(sure >= np.quantile(sure, 1 / 3), first, last)
    assert tune_threshold(probabilities, labels, (1, 3)).signal == signal


def test_calibrations_of_earlier_runs_are_of_the_confidence() -> None:
    found = Calibration.from_dict({"temperatures": [1.0, 2.0], "thresholds": [0.7]})
    assert found == Calibration((1.0, 2.0), (0.7,))
    assert found.tuned == Thresholds("confidence", (0.7,))
