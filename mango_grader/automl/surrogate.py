"""What gradients descend in place of an objective, whose metric has none: its surrogate loss on held-out images."""

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray

from mango_grader.automl.cost import Probabilities
from mango_grader.automl.evaluate import SearchProblem
from mango_grader.automl.objective import Metric
from mango_grader.automl.search_space import SearchSpace
from mango_grader.training.losses import AnytimeLoss, Distance, balanced_weights, cross_entropy, squared_earth_movers

_DISTANCES: Mapping[Metric, Distance] = {
    "accuracy": cross_entropy,
    "balanced_accuracy": cross_entropy,
    "kappa": squared_earth_movers,
}


def surrogate_loss(problem: SearchProblem, labels: NDArray[np.int64], label_smoothing: float = 0.0) -> AnytimeLoss:
    """Return the loss whose minimum stands for the maximum of the problem's objective.

    Per exit: cross entropy for accuracy. Balanced accuracy is accuracy under class weights of 1/frequency, and its loss
    cross entropy under the same weights. Kappa with quadratic weights forgives near misses, and so does the squared
    earth mover's distance between classes in order (Hou et al. 2016, Eq. 4).

    Over the exits: equal weights for "mean", the last exit alone for "last". For "area" each weighs as the budgets that
    it answers, those from its own cost to the next exit's, or to the horizon behind the last one. Costs are what the
    undecided space costs in the mean.

    Args:
        problem: whose objective is meant.
        labels: of the held-out images (N,); they say how rare each class is.
        label_smoothing: from 0 to below 1.
    """
    objective, classes = problem.objective, problem.space.config.classes
    balanced = balanced_weights(labels, classes) if objective.metric == "balanced_accuracy" else None
    return AnytimeLoss(_exit_weights(problem), balanced, label_smoothing, _DISTANCES[objective.metric])


def undecided(space: SearchSpace) -> Probabilities:
    """Return how likely each candidate is where nothing is preferred, (candidates,) per decision.

    Args:
        space: whose decisions are meant.
    """
    return {
        decision.name: torch.full(
            (len(decision.candidates),), 0.5 if decision.free else decision.min_chosen / len(decision.candidates)
        )
        for decision in space.decisions
    }


def _exit_weights(problem: SearchProblem) -> tuple[float, ...]:
    count = len(problem.space.graph.exits)
    if problem.objective.over == "mean" or count == 1:
        return (1.0,) * count
    if problem.objective.over == "last":
        return (*(0.0,) * (count - 1), 1.0)
    costs = problem.cost.expected(undecided(problem.space)).tolist()
    return tuple(np.diff([*costs, max(problem.horizon, costs[-1])]).tolist())
