"""What counts as better."""

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from mango_grader.automl.objective import Objective, area_under_curve, kappa

LABELS = np.array([0, 0, 1, 1, 2, 2])


def test_area_counts_what_each_budget_can_buy() -> None:
    # From 0 to 10 nothing, from 10 to 40 the first exit: 30 of 40 budgets at 0.5.
    assert area_under_curve([0.5, 1.0], [10, 40]) == pytest.approx(0.5 * 30 / 40)


def test_area_never_pays_for_a_worse_later_exit() -> None:
    assert area_under_curve([0.9, 0.1, 0.95], [1, 2, 3]) == pytest.approx(0.9 * 2 / 3)


def test_area_prefers_the_same_accuracy_earlier() -> None:
    assert area_under_curve([0.8, 0.8], [5, 50]) > area_under_curve([0.8, 0.8], [25, 50])


def test_fault_no_area_counted_the_last_exit() -> None:
    exits = [np.zeros(6, int), LABELS]
    area = Objective("accuracy", "area")
    assert area.score(exits, LABELS, [10, 40], 3, horizon=80) == pytest.approx((30 / 3 + 40) / 80)
    assert area.score(exits, LABELS, [10, 20], 3, horizon=80) > area.score(exits, LABELS, [10, 40], 3, horizon=80)
    assert area.score(exits, LABELS, [10, 40], 3) == pytest.approx(30 / 3 / 40)


def test_last_and_mean_over_exits() -> None:
    exits = [np.zeros(6, int), LABELS]
    assert Objective("accuracy", "last").score(exits, LABELS, [1, 2], 3) == 1.0
    assert Objective("accuracy", "mean").score(exits, LABELS, [1, 2], 3) == pytest.approx((1 / 3 + 1) / 2)


def test_kappa_forgives_near_misses() -> None:
    near, far = np.array([0, 1, 1, 1, 2, 2]), np.array([0, 2, 1, 1, 2, 2])
    assert 1 > kappa(near, LABELS, 3) > kappa(far, LABELS, 3)
    assert kappa(near, LABELS, 3) == pytest.approx(cohen_kappa_score(LABELS, near, weights="quadratic"))
    assert kappa(np.zeros(3, int), np.zeros(3, int), 3) == 0


def test_balanced_accuracy_weighs_classes_alike() -> None:
    labels = np.array([0] * 9 + [1])
    assert Objective("balanced_accuracy", "last").score([np.zeros(10, int)], labels, [1], 2) == 0.5
