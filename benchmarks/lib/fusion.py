"""What learns from the features of frozen networks: a regression, and support vector machines that fuse networks.

The two fusions are those that MNet is compared with (section 4, Table 3). The paper names neither the kernel nor what
it makes of the distances that it concatenates: here images out of fold choose the kernel, and one more machine decides.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from mango_grader.datasets.splits import assign_groups
from mango_grader.training.linear_probe import fit_probe

Features = Sequence[NDArray[np.float32]]
"""One array (N, K) for each frozen network; rows are the same images."""
Answers = Callable[[Features], NDArray[np.int64]]
"""From features to the class of each image, int64 (N,)."""

_FOLDS = 3
_MACHINES = (*(("linear", 10.0**power) for power in (-4, -3, -2)), *(("rbf", 10.0**power) for power in (0, 1)))


@dataclass(frozen=True)
class Examples:
    """What a classifier learns from.

    Attributes:
        features: of the frozen networks, N rows each.
        labels: int64 (N,), from 0.
        groups: (N,), the name of each image's group; none is divided where settings are chosen.
        classes: C, the number of classes.
        seed: of the folds by which settings are chosen.
    """

    features: Features
    labels: NDArray[np.int64]
    groups: Sequence[str]
    classes: int
    seed: int

    @cached_property
    def folds(self) -> NDArray[np.int64]:
        """The fold of each image, int64 (N,), from 0."""
        return assign_groups(self.labels, self.groups, [1.0] * _FOLDS, (self.seed,))


def regression(examples: Examples) -> Answers:
    """Fit a logistic regression on the features of all networks together."""
    probe = fit_probe(_joined(examples.features), examples.labels, examples.groups, examples.classes, examples.seed)
    return lambda features: probe(torch.from_numpy(_joined(features))).argmax(1).numpy()


def fused_features(examples: Examples) -> Answers:
    """Fit one support vector machine on the features of all networks together."""
    machine = _fit(_joined(examples.features), examples)
    return lambda features: np.asarray(machine.predict(_joined(features)), np.int64)


def fused_decisions(examples: Examples) -> Answers:
    """Fit a support vector machine on each network's features, and one on the distances that these find.

    It learns from distances of machines that did not see the image: the others are right about nearly all they learned.
    """
    machines = [_fit(rows, examples) for rows in examples.features]
    pairs = zip(machines, examples.features, strict=True)
    last = _fit(_joined([_distances_out_of_fold(machine, rows, examples) for machine, rows in pairs]), examples)

    def answer(features: Features) -> NDArray[np.int64]:
        pairs = zip(machines, features, strict=True)
        found = _joined([_distances(machine, rows, examples.classes) for machine, rows in pairs])
        return np.asarray(last.predict(found), np.int64)

    return answer


def _joined(features: Features) -> NDArray[np.float32]:
    return np.concatenate(features, axis=1)


def _machine(kernel: str, strength: float) -> Pipeline:
    return make_pipeline(StandardScaler(), SVC(kernel=kernel, C=strength, decision_function_shape="ovr"))


def _fit(rows: NDArray[np.float32], examples: Examples) -> Pipeline:
    """Return the machine that answers most images out of fold correctly, fitted on all."""

    def correct(settings: tuple[str, float]) -> int:
        machines = _fitted_by_fold(_machine(*settings), rows, examples)
        return sum(int((machine.predict(rows[own]) == examples.labels[own]).sum()) for machine, own in machines)

    return _machine(*max(_MACHINES, key=correct)).fit(rows, examples.labels)


def _fitted_by_fold(
    machine: Pipeline, rows: NDArray[np.float32], examples: Examples
) -> Iterator[tuple[Pipeline, NDArray[np.bool_]]]:
    """Fit the machine once without each fold; yield it with which images are that fold's."""
    for fold in range(_FOLDS):
        own = examples.folds == fold
        yield machine.fit(rows[~own], examples.labels[~own]), own


def _distances(machine: Pipeline, rows: NDArray[np.float32], classes: int) -> NDArray[np.float32]:
    """Return how far each row is on each class's side, (N, C); a class without examples is as far off as any gets."""
    values = np.asarray(machine.decision_function(rows))
    if values.ndim == 1:  # of two classes scikit-learn returns the second one's alone
        values = np.stack([-values, values], axis=1)
    found = np.full((len(rows), classes), values.min(), np.float32)
    found[:, machine.classes_] = values
    return found


def _distances_out_of_fold(machine: Pipeline, rows: NDArray[np.float32], examples: Examples) -> NDArray[np.float32]:
    found = np.empty((len(rows), examples.classes), np.float32)
    for fitted, own in _fitted_by_fold(clone(machine), rows, examples):
        found[own] = _distances(fitted, rows[own], examples.classes)
    return found
