"""Whether the best of the scored candidates is better than the others, or only luckier."""

from collections.abc import Mapping

import numpy as np

from mango_grader.automl.architecture import Architecture
from mango_grader.automl.evaluate import SharedWeights
from mango_grader.automl.movement import Pick

_RESAMPLES = 100


def pick_of(scored: Mapping[Architecture, float], evaluator: SharedWeights, seed: int) -> Pick | None:
    """Return where the best of the scored candidates stands beside the noise; None for fewer than two.

    The noise is taken from the best and the median candidate alone: held-out images are resampled, and the standard
    deviation of the difference of their scores, which errors in common leave alone, is that of two scores.

    Args:
        scored: candidates and their scores.
        evaluator: that scored them.
        seed: of the resampling.
    """
    if len(scored) < 2:
        return None
    paths, values = list(scored), np.array(list(scored.values()))
    order = np.argsort(values, kind="stable")
    best, median = order[-1], order[(len(order) - 1) // 2]
    noise = _difference_noise(paths[best], paths[median], evaluator, seed) / np.sqrt(2)
    return Pick(len(scored), float(values.std(ddof=1)), float(values[best] - values[median]), float(noise))


def _difference_noise(one: Architecture, other: Architecture, evaluator: SharedWeights, seed: int) -> float:
    """Return the standard deviation of the difference of two scores by the choice of images."""
    problem, labels = evaluator.problem, evaluator.labels
    answers = [[logits.argmax(1).numpy() for logits in evaluator.logits(each)] for each in (one, other)]
    costs = [problem.cost.exact(each).tolist() for each in (one, other)]
    rng, differences = np.random.default_rng(seed), []
    for _ in range(_RESAMPLES):
        rows = rng.integers(len(labels), size=len(labels))
        first, second = (
            problem.objective.score([exit_[rows] for exit_ in own], labels[rows], cost, problem.space.config.classes)
            for own, cost in zip(answers, costs, strict=True)
        )
        differences.append(first - second)
    return float(np.std(differences))
