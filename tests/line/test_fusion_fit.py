"""How much views repeat each other is found from fruit whose grades are known."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from mango_grader.errors import UsageError
from mango_grader.line.grading.fitting import fit_fusion
from mango_grader.line.grading.fusions import FusionContext, Pooled, parse_fusion
from mango_grader.runtime import CalibrationSet

CONTEXT = FusionContext(classes=("A", "B", "C"), ordinal=True, exits=1, prior=(1 / 3,) * 3)
VIEWS = 4


def answers(shared: float, count: int = 400) -> CalibrationSet:
    """Return answers to fruit whose views have this share of their noise in common, and are calibrated one by one."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, count)
    common, own = (rng.normal(size=(count, size, 3)) for size in (1, VIEWS))
    noise = np.sqrt(shared) * common + np.sqrt(1 - shared) * own
    # Of values with unit variance around a mean of 1 for the true class, these are the logits of Bayes' rule.
    logits = (np.eye(3)[labels][:, None] + noise).reshape(-1, 3)
    return CalibrationSet(softmax(logits)[None], np.repeat(np.arange(count), VIEWS), np.repeat(labels, VIEWS))


def softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


@pytest.mark.parametrize("shared", [0.0, 0.3, 0.7, 1.0])
def test_the_correlation_of_views_is_found(shared: float) -> None:
    fit = fit_fusion(answers(shared), CONTEXT)
    assert float(fit.fusion.removeprefix("evidence:")) == pytest.approx(shared, abs=0.15)
    assert (fit.fruit, fit.views) == (400, 400 * VIEWS)
    assert fit.scores[0].log_loss == min(score.log_loss for score in fit.scores)
    assert {score.fusion.partition(":")[0] for score in fit.scores} == {"evidence", "mean", "vote", "worst"}


def test_fused_views_beat_one_view_unless_they_all_say_the_same() -> None:
    different, same = fit_fusion(answers(0.0), CONTEXT), fit_fusion(answers(1.0), CONTEXT)
    assert different.scores[0].accuracy > different.single.accuracy + 0.1
    assert same.scores[0].accuracy == pytest.approx(same.single.accuracy)


def test_fruit_with_one_view_or_two_grades_are_left_out() -> None:
    found = answers(0.5, count=40)
    assert found.labels is not None
    groups, labels = found.groups.copy(), found.labels.copy()
    groups[:VIEWS] = range(1000, 1000 + VIEWS)  # the first fruit falls apart into four with one view each
    labels[VIEWS] = (labels[VIEWS] + 1) % 3
    fit = fit_fusion(CalibrationSet(found.probabilities, groups, labels), CONTEXT)
    assert fit.fruit == 38


def test_every_exit_has_a_correlation_of_its_own() -> None:
    early, late = answers(0.9), answers(0.0)
    both = CalibrationSet(np.concatenate([early.probabilities, late.probabilities]), late.groups, late.labels)
    fit = fit_fusion(both, replace(CONTEXT, exits=2))
    first, last = map(float, fit.fusion.removeprefix("evidence:").split(","))
    assert first > last + 0.5
    assert parse_fusion(fit.fusion, replace(CONTEXT, exits=2)) == Pooled(CONTEXT.prior, (first, last))


@pytest.mark.parametrize("graded", [True, False])
def test_too_few_fruit_are_refused(graded: bool) -> None:
    found = answers(0.5, count=19 if graded else 40)
    labels = found.labels if graded else None
    with pytest.raises(UsageError, match=f"{19 if graded else 0} graded fruit have several views, 20 are needed"):
        fit_fusion(CalibrationSet(found.probabilities, found.groups, labels), CONTEXT)
