"""ReportData: everything that a report or a model card tells, as plain values; who fills it needs no plotting."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mango_grader.datasets.probe import ProbeResult
from mango_grader.models.spec import NetworkSpec
from mango_grader.report.preferences import Preferences
from mango_grader.training.bootstrap import Estimate
from mango_grader.training.metrics import ExitMetrics, PolicyMetrics


@dataclass(frozen=True)
class Part:
    """One part of the data ("train", "val", "test"): images per class, in class order, and groups in all."""

    name: str
    images: tuple[int, ...]
    groups: int


@dataclass(frozen=True)
class DataSummary:
    """Where the images came from and how they were split; `findings` are one-line remarks on their state."""

    source: str
    parts: tuple[Part, ...]
    findings: tuple[str, ...] = ()
    probe: ProbeResult | None = None


@dataclass(frozen=True)
class Example:
    """One test image as the network saw it, (H, W, 3) uint8; `label`, `predicted` index classes, `exit` is from 1."""

    image: NDArray[np.uint8]
    path: str
    label: int
    predicted: int
    confidence: float
    exit: int

    @property
    def right(self) -> bool:
        """Whether the answer was the label."""
        return self.label == self.predicted


@dataclass(frozen=True)
class Reference:
    """Another model on the same test images, to stand beside the exits: its multiply-adds and its accuracy."""

    name: str
    macs: int
    accuracy: Estimate


@dataclass(frozen=True)
class TeacherFigures:
    """Who taught the network, and its own accuracy on validation and test images."""

    name: str
    val: Estimate
    test: Estimate

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "TeacherFigures":
        """Rebuild from plain data."""
        return cls(data["name"], Estimate(**data["val"]), Estimate(**data["test"]))


@dataclass(frozen=True, kw_only=True)
class ReportData:
    """A report's content; what is empty or None is left out of the page.

    Fields:
        title: a name for the model or the run.
        exits, policies: measured on `measured_on`, images that no choice has seen.
        default_policy: the name of the entry of `policies` that the model uses unless told otherwise.
        spec: the network, to be drawn.
        preferences: how likely the search was to choose each candidate at its end, by decision; choices: what it chose.
        history: rows of history.jsonl, {"phase": "search-…" | "train", "round" | "epoch": n, figures …}.
        settings: the run's configuration, nested as it is.
        provenance: what identifies the run: version, date, seed, data digest, ….
        teacher: whose answers the network learned from, too.
        notes: one-line warnings of this run beyond those that its figures give by themselves.
    """

    title: str
    classes: tuple[str, ...]
    ordinal: bool
    exits: tuple[ExitMetrics, ...]
    policies: tuple[PolicyMetrics, ...] = ()
    default_policy: str = "full"
    measured_on: str = "test part"
    spec: NetworkSpec | None = None
    preferences: Preferences = field(default_factory=dict)
    choices: Mapping[str, Sequence[str]] = field(default_factory=dict)
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


def pick_examples(
    image: Callable[[int], NDArray[np.uint8]],
    paths: Sequence[str],
    labels: NDArray[np.integer],
    probabilities: NDArray[np.floating],
    settled: NDArray[np.integer],
    each: int = 14,
) -> tuple[Example, ...]:
    """Return up to `each` wrong answers, the most confident first, and up to `each` right ones, all classes in turn.

    `image(row)` gives the preprocessed image of a row, `probabilities` is (K, N, C), `settled` (N,) the exit index,
    from 0, at which each image was answered.
    """
    rows = np.arange(len(labels))
    answers = probabilities[settled, rows]
    predicted, confidence = answers.argmax(axis=1), answers.max(axis=1)
    wrong = rows[predicted != labels]
    right = rows[predicted == labels]
    # Rank within the class first: one of each class, then the next of each.
    rank = {row: index for label in np.unique(labels) for index, row in enumerate(right[labels[right] == label])}
    chosen = [
        *wrong[np.argsort(-confidence[wrong], kind="stable")][:each],
        *sorted(right, key=lambda row: (rank[row], labels[row]))[:each],
    ]
    return tuple(
        Example(
            image(int(row)), paths[row], int(labels[row]), int(predicted[row]), float(confidence[row]),
            int(settled[row]) + 1,
        )
        for row in chosen
    )  # fmt: skip
