"""What a search maximises: how good the exits' answers are, and how the exits count together."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import accuracy_score, confusion_matrix, recall_score

from mango_grader.training.metrics import quadratic_kappa

Metric = Literal["accuracy", "balanced_accuracy", "kappa"]
Over = Literal["last", "mean", "area"]
Predictions = NDArray[np.int64]


def accuracy(predicted: Predictions, labels: Predictions, classes: int) -> float:
    """Return the share of correct answers, in [0, 1].

    Args:
        predicted: classes (N,).
        labels: the true classes (N,).
        classes: how many there are.
    """
    return float(accuracy_score(labels, predicted))


def balanced_accuracy(predicted: Predictions, labels: Predictions, classes: int) -> float:
    """Return the mean recall over the classes present, in [0, 1].

    Args:
        predicted: classes (N,).
        labels: the true classes (N,).
        classes: how many there are.
    """
    return float(recall_score(labels, predicted, labels=np.unique(labels), average="macro", zero_division=0.0))


def kappa(predicted: Predictions, labels: Predictions, classes: int) -> float:
    """Return Cohen's kappa with quadratic weights, at most 1; 0 where it is undefined (a single class).

    Args:
        predicted: classes (N,).
        labels: the true classes (N,).
        classes: how many there are.
    """
    if len(np.union1d(predicted, labels)) < 2:
        return 0.0
    counts = confusion_matrix(labels, predicted, labels=np.arange(classes)).astype(np.float64)
    return float(quadratic_kappa(counts[None])[0])


METRICS: dict[Metric, Callable[[Predictions, Predictions, int], float]] = {
    "accuracy": accuracy,
    "balanced_accuracy": balanced_accuracy,
    "kappa": kappa,
}


def area_under_curve(scores: Sequence[float], costs: Sequence[float]) -> float:
    """Return the mean score over budgets from 0 to the last exit's cost, spent uniformly.

    A budget below the first exit scores 0, one between two exits scores the best exit within it (MS-RANAS, conclusion:
    the anytime curve as selection score).

    Args:
        scores: of each exit.
        costs: up to each exit; they must rise.
    """
    best = np.maximum.accumulate(np.asarray(scores, dtype=float))
    spent = np.asarray(costs, dtype=float)
    return float(np.sum(best[:-1] * np.diff(spent)) / spent[-1]) if len(best) > 1 else float(best[0])


@dataclass(frozen=True)
class Objective:
    """What a search maximises: a metric at one exit, or over all of them.

    Attributes:
        metric: how good the answers of one exit are: "accuracy", "balanced_accuracy" or "kappa".
        over: how the scores of the exits are combined: "last" takes the last exit's, "mean" their mean, "area" the area
            under their curve over cost, up to a budget that is the same for all networks.
    """

    metric: Metric = "accuracy"
    over: Over = "mean"

    @property
    def worst(self) -> float:
        """The least that `score` can be: what answers that are not finite numbers are worth."""
        return -1.0 if self.metric == "kappa" else 0.0

    def score(
        self,
        predicted: Sequence[Predictions],
        labels: Predictions,
        costs: Sequence[float],
        classes: int,
        horizon: float = 0.0,
    ) -> float:
        """Return the score of a network's answers; higher is better.

        Args:
            predicted: of each exit, classes (N,).
            labels: the true classes (N,).
            costs: up to each exit, (exits,).
            classes: how many there are.
            horizon: the largest budget, for "area"; beyond its last exit, a network keeps that exit's score.
        """
        scores = [METRICS[self.metric](answers, labels, classes) for answers in predicted]
        if self.over == "last":
            return scores[-1]
        if self.over == "mean":
            return float(np.mean(scores))
        return area_under_curve([*scores, scores[-1]], [*costs, max(horizon, costs[-1])])
