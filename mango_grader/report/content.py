"""ReportData: everything that a report or a model card says, as plain values; who fills it needs no plotting."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mango_grader.automl.movement import Movement
from mango_grader.datasets.summary import DataSummary
from mango_grader.models.spec import NetworkSpec
from mango_grader.training.bootstrap import Estimate
from mango_grader.training.combinations import CombinationMetrics
from mango_grader.training.distillation import TeacherFigures
from mango_grader.training.metrics import ExitMetrics, PolicyMetrics


@dataclass(frozen=True)
class Example:
    """One test image and the model's answer.

    Attributes:
        image: uint8 (H, W, 3), as the network saw it.
        path: of the image file, relative to the data's folder.
        label: index of the class that it has.
        predicted: index of the class that was answered.
        confidence: probability of that answer, 0..1.
        exit: number of the exit that answered, from 1.
    """

    image: NDArray[np.uint8]
    path: str
    label: int
    predicted: int
    confidence: float
    exit: int

    @property
    def correct(self) -> bool:
        """Whether the answer is the label."""
        return self.label == self.predicted


@dataclass(frozen=True)
class Reference:
    """Another model on the same test images, drawn beside the exits.

    Attributes:
        name: as the chart shows it.
        macs: multiply-adds for one image.
        accuracy: share of correct answers, 0..1, with its interval.
    """

    name: str
    macs: int
    accuracy: Estimate


@dataclass(frozen=True, kw_only=True)
class ReportData:
    """A report's content; the page leaves out what is empty or None.

    Attributes:
        title: a name for the model or the run.
        classes: class names, in the order of their indices.
        ordinal: whether that order is one of grades.
        exits: figures of every exit on `measured_on`, the first exit first.
        policies: figures of every exit policy on the same images.
        default_policy: name of the policy that the model uses unless told otherwise.
        default_reason: why it is that one, a few words; "" where it is not known.
        combinations: exit policies with decision rules, on the same images.
        refused: policies and rules that the model does not allow, and why.
        measured_on: which images the figures are of; nothing was chosen by them.
        spec: the network, to be drawn.
        preferences: by decision and candidate, how likely the search was to choose it at its end, 0..1.
        choices: by decision, the candidates that it chose.
        movement: what the search changed; None where nothing was searched, or by an earlier version.
        history: rows of history.jsonl: {"phase": "search-…" | "train", "round" | "epoch": n, figures …}.
        examples: test images to show, as `pick_examples` returns them.
        data: where the images come from, and how they were split.
        references: other models on the same images.
        teacher: whose answers the network learned from besides the labels.
        settings: the run's configuration, nested as it is.
        provenance: what identifies the run: version, date, seed, digest of the data, ….
        notes: one-line warnings of this run beyond those that its figures give.
    """

    title: str
    classes: tuple[str, ...]
    ordinal: bool
    exits: tuple[ExitMetrics, ...]
    policies: tuple[PolicyMetrics, ...] = ()
    default_policy: str = "full"
    default_reason: str = ""
    combinations: tuple[CombinationMetrics, ...] = ()
    refused: tuple[tuple[str, str], ...] = ()
    measured_on: str = "test part"
    spec: NetworkSpec | None = None
    preferences: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    choices: Mapping[str, Sequence[str]] = field(default_factory=dict)
    movement: Movement | None = None
    history: Sequence[Mapping[str, Any]] = ()
    examples: tuple[Example, ...] = ()
    data: DataSummary | None = None
    references: tuple[Reference, ...] = ()
    teacher: TeacherFigures | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def policy(self) -> PolicyMetrics | None:
        """The figures of the default policy; None where it was not measured."""
        return next((policy for policy in self.policies if policy.name == self.default_policy), None)

    @property
    def side_by_side(self) -> tuple[tuple[CombinationMetrics, CombinationMetrics | None], ...]:
        """Each exit policy with the most probable class as its answer, and with the first rule that asks a person."""
        asking = {one.policy: one for one in reversed(self.combinations) if one.review is not None}
        return tuple((one, asking.get(one.policy)) for one in self.combinations if one.decide == "argmax")


def pick_examples(
    image: Callable[[int], NDArray[np.uint8]],
    paths: Sequence[str],
    labels: NDArray[np.integer],
    probabilities: NDArray[np.floating],
    settled: NDArray[np.integer],
    each: int = 14,
) -> tuple[Example, ...]:
    """Return wrong answers, the most confident first, then correct ones, all classes in turn.

    Args:
        image: from a row to its preprocessed image, uint8 (H, W, 3).
        paths: N file names, one per row.
        labels: (N,), class indices.
        probabilities: (K, N, C), those of each of K exits.
        settled: (N,), index of the exit that answers each image, from 0.
        each: how many wrong and how many correct answers to return at most.
    """
    rows = np.arange(len(labels))
    answers = probabilities[settled, rows]
    predicted, confidence = answers.argmax(axis=1), answers.max(axis=1)
    wrong = rows[predicted != labels]
    correct = rows[predicted == labels]
    # Rank within the class first: one of each class, then the next of each.
    rank = {row: index for label in np.unique(labels) for index, row in enumerate(correct[labels[correct] == label])}
    chosen = [
        *wrong[np.argsort(-confidence[wrong], kind="stable")][:each],
        *sorted(correct, key=lambda row: (rank[row], labels[row]))[:each],
    ]
    return tuple(
        Example(
            image(int(row)), paths[row], int(labels[row]), int(predicted[row]), float(confidence[row]),
            int(settled[row]) + 1,
        )
        for row in chosen
    )  # fmt: skip
