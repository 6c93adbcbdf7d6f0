"""Figures of exit policies with decision rules: each can be counted by hand."""

import numpy as np
import pytest

from mango_grader.runtime.bundle.manifest import Prices
from mango_grader.runtime.decisions import Argmax, Cost, Decisions
from mango_grader.runtime.exits import ExitAt, Full, Threshold
from mango_grader.training.combinations import Stops, Yardstick, anytime_curve, combination_metrics, mean_over
from mango_grader.training.metrics import EvaluationSet

LABELS = np.array([0, 0, 1, 1])
# Exit 1 is sure of images 1 and 3 and wrong about 2; exit 2 is wrong about 4.
PROBABILITIES = np.array(
    [[[0.9, 0.1], [0.4, 0.6], [0.1, 0.9], [0.4, 0.6]], [[0.9, 0.1], [0.8, 0.2], [0.2, 0.8], [0.7, 0.3]]]
)
PASSED = np.array([[1.0, 2.0, 3.0, 4.0], [11.0, 12.0, 13.0, 14.0]])
EVALUATED = EvaluationSet(LABELS, list("abcd"), ("good", "bad"), ordinal=False)
LAST = PROBABILITIES[-1].argmax(axis=1) == LABELS


def yardstick(prices: Cost | None = None) -> Yardstick:
    return Yardstick(EVALUATED, (100, 400), LAST, prices)


def test_a_replayed_policy_hides_what_it_did_not_compute() -> None:
    stops = Stops.replayed(Threshold((0.8,)), PROBABILITIES, PASSED)
    assert stops.exits.tolist() == [1, 2, 1, 2]
    assert np.isnan(stops.history[1, [0, 2]]).all()
    assert np.isfinite(stops.history[0]).all()
    assert stops.ms is not None
    assert stops.ms.tolist() == [1.0, 12.0, 3.0, 14.0]


def test_figures_of_a_policy_are_what_its_images_spent_and_answered() -> None:
    stops = Stops.replayed(Threshold((0.8,)), PROBABILITIES, PASSED)
    found = combination_metrics("threshold", "argmax", stops, Argmax().decide(stops.history, stops.exits), yardstick())
    assert found.answers.accuracy.value == 0.75
    assert found.answers.confusion == ((2, 0), (1, 1))
    assert (found.shares, found.macs.value, found.work.value) == ((0.5, 0.5), 250.0, 0.625)
    assert found.loss.value == 0
    assert found.latency is not None
    assert found.latency.p50 == 7.5
    assert (found.review, found.kept_accuracy, found.cost, found.late) == (None, None, None, None)
    assert found.answers.calibration_error.value == pytest.approx(abs(0.1 + 0.1) / 4 + 0.2 / 4 + 0.7 / 4)


def test_reviews_are_counted_priced_by_true_class_and_left_out_of_what_is_kept() -> None:
    stops = Stops.replayed(Full(), PROBABILITIES)
    answers = Argmax().decide(stops.history, stops.exits).answers
    review = np.array([False, True, False, True])
    prices = Prices(((0.0, 1.0), (5.0, 0.0)), (0.25, 0.5))
    found = combination_metrics("full", "cost", stops, Decisions(answers, review), yardstick(Cost(prices)))
    assert found.review is not None
    assert found.kept_accuracy is not None
    assert found.cost is not None
    assert (found.review.value, found.kept_accuracy.value) == (0.5, 1.0)
    assert found.cost.value == pytest.approx(1000 * (0.25 + 0.5) / 4)
    unreviewed = combination_metrics("full", "argmax", stops, Decisions(answers), yardstick(Cost(prices)))
    assert unreviewed.cost is not None
    assert unreviewed.cost.value == pytest.approx(1000 * 5 / 4)
    everything = combination_metrics(
        "full", "cost", stops, Decisions(answers, np.ones(4, bool)), yardstick(Cost(prices))
    )
    assert everything.kept_accuracy is None
    nobody = Yardstick(EVALUATED, (100, 400), LAST, Cost(Prices(prices.answers)))
    assert combination_metrics("full", "conformal", stops, Decisions(answers, review), nobody).cost is None


def test_the_confidence_of_an_answer_is_its_own_probability() -> None:
    stops = Stops.replayed(ExitAt(0), PROBABILITIES)
    always_bad = Decisions(np.ones(4, np.int64))
    found = combination_metrics("exit:1", "other", stops, always_bad, yardstick())
    assert found.answers.accuracy.value == 0.5
    # Answers with 0.1, 0.6, 0.9 and 0.6: those with 0.6 share a bin, one of them correct.
    assert found.answers.calibration_error.value == pytest.approx((0.1 + 0.2 + 0.1) / 4)


def test_the_area_is_the_mean_accuracy_between_the_first_and_the_last_exit() -> None:
    curve = anytime_curve(PROBABILITIES, yardstick(), PASSED)
    assert (curve.macs, curve.ms, curve.accuracy) == ((100, 400), (2.5, 12.5), (0.75, 0.75))
    assert curve.area == pytest.approx(0.75)
    assert mean_over(np.array([1.0, 2.0, 4.0]), np.array([0.0, 1.0, 1.0])) == pytest.approx((0.5 + 2.0) / 3)
    assert mean_over(np.array([5.0]), np.array([0.4])) == 0.4
