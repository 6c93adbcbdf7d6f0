"""What models say of images that they did not learn from."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mango_grader.datasets.splits import assign_groups
from mango_grader.errors import UsageError
from mango_grader.text import counted
from mango_grader.training.confident_learning import likely_classes
from mango_grader.training.linear_probe import out_of_fold

__all__ = ["FOLDS", "OutOfFold", "cross_validate"]

FOLDS = 5
"""Of the cross-validation."""

_FEWEST_GROUPS = 10  # With fewer, what folds leave to learn from says too little.


@dataclass(frozen=True, eq=False)
class OutOfFold:
    """Answers of models to images that they did not learn from.

    Attributes:
        items: int64 (M,), the answered items of a data set, ascending.
        probabilities: float (M, C), the classes in the data set's order.
        source: who answered, in a few words.
        notes: what to know about them, one line each.
    """

    items: NDArray[np.int64]
    probabilities: NDArray[np.float64]
    source: str
    notes: tuple[str, ...] = ()


def cross_validate(
    features: NDArray[np.float32], labels: NDArray[np.int64], groups: Sequence[str], classes: int, seed: int
) -> NDArray[np.float64]:
    """Return the probabilities of each image by a regression that was fitted without its fold, (N, C).

    It is fitted twice, the second time without the images whose labels the first one finds wrong: they would teach it
    to believe others of their kind.

    Args:
        features: (N, K), what a frozen network sees.
        labels: int64 (N,), some of them wrong.
        groups: N group names; a group is in one fold.
        classes: C, the number of classes.
        seed: of the folds.

    Raises:
        UsageError: there are too few groups or classes.
    """
    fruit, present = len(set(groups)), len(np.unique(labels))
    if fruit < _FEWEST_GROUPS or present < 2:
        found = f"{counted(fruit, 'group')} of images in {counted(present, 'class', 'classes')}"
        raise UsageError(f"{found}: labels can be judged from {_FEWEST_GROUPS} groups and 2 classes on")
    folds = assign_groups(labels, groups, [1.0] * FOLDS, (seed,))
    likely = likely_classes(out_of_fold(features, labels, folds, classes), labels)
    return out_of_fold(features, labels, folds, classes, learned=(likely < 0) | (likely == labels))
