"""Finds out how much the views of one fruit repeat each other, and which fusion is right how often."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mango_grader.errors import UsageError
from mango_grader.line.grading.fusions import FUSIONS, Fusion, FusionContext, Pooled, fuse
from mango_grader.runtime.exits import CalibrationSet

FEWEST_FRUIT = 20
"""Graded fruit with several views that a fit needs."""

_CORRELATIONS = np.linspace(0.0, 1.0, 101)
_LEAST = 1e-12  # of a probability whose logarithm is taken


@dataclass(frozen=True)
class FusionScore:
    """How well a fusion answers fruit whose grades are known.

    Attributes:
        fusion: as `parse_fusion` reads it.
        accuracy: share of the fruit whose most probable grade is correct, 0..1.
        log_loss: mean of −ln of the probability of the true grade; lower is better.
    """

    fusion: str
    accuracy: float
    log_loss: float


@dataclass(frozen=True)
class FusionFit:
    """What graded fruit with several views say about fusions.

    Attributes:
        fusion: the fitted `evidence`, to be written into a configuration as `grading.fusion`.
        fruit: number of fruit with several views.
        views: number of their views.
        single: of the views alone: accuracy and log loss of one view.
        scores: of every fusion that the model's classes allow, the fitted one first.
    """

    fusion: str
    fruit: int
    views: int
    single: FusionScore
    scores: tuple[FusionScore, ...]


def fit_fusion(answers: CalibrationSet, context: FusionContext) -> FusionFit:
    """Fit the correlations of `evidence` by the likelihood of the true grades at each exit, and compare all fusions.

    Fruit with one view say nothing about fusions and are left out, and so are those whose views were given different
    grades. Scores are those of the last exit for the fruit that were fitted: one number was, so they flatter a little.

    Args:
        answers: to graded views of fruit that the network was not trained on, such as those of `conveyor crops`.
        context: what the model offers.

    Raises:
        UsageError: if there are fewer than 20 graded fruit with several views.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> labels = np.repeat(rng.integers(0, 2, 100), 4)
        >>> chance = 0.4 + 0.2 * labels + rng.uniform(-0.3, 0.3, 400)
        >>> answers = CalibrationSet(np.stack([1 - chance, chance], axis=1)[None], np.arange(400) // 4, labels)
        >>> fit = fit_fusion(answers, FusionContext(classes=("A", "B"), ordinal=True, exits=1, prior=(0.5, 0.5)))
        >>> fit.fusion, fit.fruit, fit.scores[0].accuracy > fit.single.accuracy
        ('evidence:0', 100, True)
    """
    fruit, labels = _several_views(answers)
    if len(fruit) < FEWEST_FRUIT:
        raise UsageError(
            f"{len(fruit)} graded fruit have several views, {FEWEST_FRUIT} are needed: give the views of one fruit the"
            " same group, such as the column fruit of `conveyor crops`"
        )
    exits = range(1, len(answers.probabilities) + 1)
    fitted = Pooled(context.prior, tuple(_correlation(number, fruit, labels, context.prior) for number in exits))
    others = [kind.parse("", context) for name, kind in FUSIONS.items() if context.ordinal or name != "worst"]
    alone = [view[:, None] for views in fruit for view in views.transpose(1, 0, 2)]
    own = np.repeat(labels, [views.shape[1] for views in fruit])
    return FusionFit(
        str(fitted),
        len(fruit),
        len(alone),
        replace(_score(fitted, exits[-1], alone, own), fusion="one view"),
        tuple(_score(each, exits[-1], fruit, labels) for each in (fitted, *others)),
    )


def _several_views(answers: CalibrationSet) -> tuple[list[NDArray[np.floating]], NDArray[np.int64]]:
    """Return the probabilities (K, V, C) of each fruit with several views, and its class."""
    if answers.labels is None:
        return [], np.empty(0, np.int64)
    fruit, labels = [], []
    for group in np.unique(answers.groups):
        rows = np.flatnonzero(answers.groups == group)
        if len(rows) > 1 and len(set(answers.labels[rows].tolist())) == 1:
            fruit.append(answers.probabilities[:, rows])
            labels.append(int(answers.labels[rows[0]]))
    return fruit, np.array(labels, np.int64)


def _correlation(
    number: int, fruit: Sequence[NDArray[np.floating]], labels: NDArray[np.int64], prior: tuple[float, ...]
) -> float:
    """Return the correlation under which the true grades are most likely at one exit."""
    losses = [_score(Pooled(prior, (float(each),) * number), number, fruit, labels).log_loss for each in _CORRELATIONS]
    return round(float(_CORRELATIONS[int(np.argmin(losses))]), 2)


def _score(
    fusion: Fusion, number: int, fruit: Sequence[NDArray[np.floating]], labels: NDArray[np.int64]
) -> FusionScore:
    fused = np.stack([fuse(fusion, views[number - 1], number) for views in fruit])
    true = fused[np.arange(len(labels)), labels]
    correct = fused.argmax(axis=1) == labels
    return FusionScore(str(fusion), float(correct.mean()), float(-np.log(np.maximum(true, _LEAST)).mean()))
