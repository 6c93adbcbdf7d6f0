"""A linear probe: logistic regression on a frozen network's outputs, so that it can tell other classes apart."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mango_grader.datasets.splits import assign_groups

_FOLDS = 3
_STRENGTHS = (1e-3, 1e-2, 1e-1, 1.0)
_ROUNDS = 1000
_CAUTIOUS = (1e-3, 3e-3, 1e-2, 3e-2)  # where labels may be wrong, stronger ones only learn them by heart
_LEAST = 1e-6  # probability of what is never predicted


@dataclass(frozen=True)
class LinearProbe:
    """Outputs times weight plus bias: logits.

    Attributes:
        weight: (K, C).
        bias: (C,).
    """

    weight: Tensor
    bias: Tensor

    def __call__(self, answers: Tensor) -> Tensor:
        """Return logits (N, C).

        Args:
            answers: (N, K), the network's outputs.
        """
        return answers @ self.weight.to(answers.device) + self.bias.to(answers.device)


def fit_probe(
    answers: NDArray[np.float32], labels: NDArray[np.int64], groups: Sequence[str], classes: int, seed: int
) -> LinearProbe:
    """Fit multinomial logistic regression on standardised outputs.

    Of four L2 strengths, the one with the best accuracy over 3 folds by group is taken. A class without examples is
    never predicted.

    Args:
        answers: (N, K), the network's outputs.
        labels: int (N,).
        groups: (N,), the name of each image's group.
        classes: C, the number of classes.
        seed: of the folds.
    """
    mean, scale = answers.mean(0, dtype=np.float64), answers.std(0, dtype=np.float64) + 1e-6
    rows = (answers - mean) / scale
    folds = assign_groups(labels, groups, [1.0] * _FOLDS, (seed,))

    def accuracy(strength: float) -> float:
        found = [_correct(rows, labels, folds == fold, strength) for fold in range(_FOLDS)]
        return float(np.concatenate(found).mean())

    weights, offsets, known = _fit(rows, labels, max(_STRENGTHS, key=accuracy))
    weight, bias = np.zeros((rows.shape[1], classes)), np.full(classes, -1e4)
    weight[:, known] = weights / scale[:, None]
    bias[known] = offsets - mean @ (weights / scale[:, None])
    return LinearProbe(torch.tensor(weight, dtype=torch.float32), torch.tensor(bias, dtype=torch.float32))


def out_of_fold(
    answers: NDArray[np.float32],
    labels: NDArray[np.int64],
    folds: NDArray[np.int64],
    classes: int,
    learned: NDArray[np.bool_] | None = None,
) -> NDArray[np.float64]:
    """Return the probabilities of each image by a regression that saw none of its fold, (N, C).

    Of the L2 strengths, the one with the least cross entropy over the folds is taken: where labels are wrong, it is
    one that does not believe each of them. Images that are not learned from do not count in it.

    Args:
        answers: (N, K), a frozen network's outputs.
        labels: int64 (N,).
        folds: int64 (N,), the fold of each image, from 0; images of one fruit share one.
        classes: C, the number of classes.
        learned: bool (N,), images to learn from; None for all.
    """
    learned = np.ones(len(labels), bool) if learned is None else learned

    def found(strength: float) -> NDArray[np.float64]:
        probabilities = np.full((len(labels), classes), _LEAST)
        for fold in np.unique(folds):
            tested = folds == fold
            trained = learned & ~tested
            if len(np.unique(labels[trained])) < 2:
                probabilities[tested] = 1 / classes
                continue
            mean, scale = answers[trained].mean(0, dtype=np.float64), answers[trained].std(0, dtype=np.float64) + 1e-6
            weights, offsets, known = _fit((answers[trained] - mean) / scale, labels[trained], strength)
            logits = (answers[tested] - mean) / scale @ weights + offsets
            likelihood = np.exp(logits - logits.max(1, keepdims=True))
            probabilities[np.ix_(tested, known)] = likelihood / likelihood.sum(1, keepdims=True)
        return probabilities

    tried = [found(strength) for strength in _CAUTIOUS]
    return min(tried, key=lambda one: float(-np.log(np.maximum(one[learned, labels[learned]], _LEAST)).mean()))


def _correct(
    rows: NDArray[np.float64], labels: NDArray[np.int64], tested: NDArray[np.bool_], strength: float
) -> NDArray[np.bool_]:
    if not tested.any() or len(np.unique(labels[~tested])) < 2:
        return np.zeros(1, bool)
    weights, offsets, known = _fit(rows[~tested], labels[~tested], strength)
    answers: NDArray[np.int64] = known[(rows[tested] @ weights + offsets).argmax(1)]
    return np.asarray(answers == labels[tested])


def _fit(
    rows: NDArray[np.float64], labels: NDArray[np.int64], strength: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """Return weights (K, known), offsets (known,) and which classes these are."""
    from sklearn.linear_model import LogisticRegression

    fitted = LogisticRegression(C=strength, max_iter=_ROUNDS).fit(rows, labels)
    weights, offsets = fitted.coef_.T, fitted.intercept_
    if weights.shape[1] == 1:  # of two classes scikit-learn keeps the second one's log odds alone
        weights, offsets = np.hstack([-weights / 2, weights / 2]), np.array([-offsets[0] / 2, offsets[0] / 2])
    return weights, offsets, np.asarray(fitted.classes_, np.int64)
