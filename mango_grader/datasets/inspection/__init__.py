"""Inspecting a data set: what is in it and what is wrong with it, as plain data that a terminal, JSON or HTML shows."""

import os
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

import numpy as np

from mango_grader.datasets.dataset import Dataset
from mango_grader.datasets.inspection.check import Check, ClassCount, Evidence
from mango_grader.datasets.inspection.checks import CHECKS
from mango_grader.datasets.reading import read_dataset
from mango_grader.datasets.scan import Scan, scan
from mango_grader.progress import Progress, SilentProgress

__all__ = ["Inspection", "Sizes", "inspect_dataset", "inspect_evidence", "inspect_folder"]

_Check = TypeVar("_Check", bound=Check)


@dataclass(frozen=True)
class Sizes:
    """Sizes of the readable images, each upright (width, height) in pixels.

    Attributes:
        smallest: the least area.
        median: the median area.
        largest: the largest area.
        commonest: the size of most images.
        commonest_count: how many images have it.
        distinct: number of different sizes.
    """

    smallest: tuple[int, int]
    median: tuple[int, int]
    largest: tuple[int, int]
    commonest: tuple[int, int]
    commonest_count: int
    distinct: int


@dataclass(frozen=True)
class Inspection:
    """What `data inspect` reports.

    Attributes:
        root: the data folder.
        labels_from: "folders", or the label CSVs.
        images: number of images.
        groups: number of their groups, those of related images merged.
        ordinal: whether the classes are grades in order.
        classes: images and groups of each class.
        imbalance: images of the largest class for each of the smallest, 1 or more.
        sizes: None where no image is readable.
        reading: what reading the folder brought up, one line each.
        checks: what each kind of check saw.
    """

    root: str
    labels_from: str
    images: int
    groups: int
    ordinal: bool
    classes: tuple[ClassCount, ...]
    imbalance: float
    sizes: Sizes | None
    reading: tuple[str, ...]
    checks: tuple[Check, ...]

    @property
    def findings(self) -> tuple[str, ...]:
        """What should be looked at before training, one line each; `--strict` fails on them."""
        return (*self.reading, *(line for check in self.checks for line in check.findings()))

    @property
    def notes(self) -> tuple[str, ...]:
        """What is worth knowing, but needs no action, one line each."""
        return tuple(line for check in self.checks for line in check.notes())

    def check(self, kind: type[_Check]) -> _Check:
        """Return what one kind of check saw."""
        return next(check for check in self.checks if isinstance(check, kind))

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values: what is counted, what each check saw, findings and notes."""
        facts = {name: value for name, value in asdict(self).items() if name not in {"reading", "checks"}}
        for check in self.checks:
            facts |= check.to_dict()
        return {**facts, "findings": self.findings, "notes": self.notes}


def inspect_folder(
    root: str | os.PathLike[str],
    group_by: str | None = None,
    ordinal: bool | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> Inspection:
    """Read a folder of labelled images and inspect it.

    Args:
        root: the data folder, or its label CSV.
        group_by: which images belong together, as in `read_dataset`.
        ordinal: whether the classes are grades in order; None decides by their names.
        seed: random seed of the shortcut probe's folds.
        progress: shows how far it is.

    Raises:
        UsageError: there is nothing to read.

    Example:
        ```python
        from mango_grader.datasets.inspection import inspect_folder

        for line in inspect_folder("mangos").findings:
            print(line)
        ```
    """
    dataset = read_dataset(root, group_by, ordinal)
    return inspect_dataset(dataset, scan(dataset, progress), seed, progress)


def inspect_dataset(dataset: Dataset, facts: Scan, seed: int = 0, progress: Progress | None = None) -> Inspection:
    """Run all checks.

    Args:
        dataset: what was read, N images.
        facts: its scan, N rows.
        seed: random seed of the shortcut probe's folds.
        progress: shows how far the search for images of the same fruit is.
    """
    return inspect_evidence(Evidence(dataset, facts, seed, progress or SilentProgress()))


def inspect_evidence(evidence: Evidence) -> Inspection:
    """Run all checks.

    Args:
        evidence: what they look at.
    """
    dataset = evidence.dataset
    return Inspection(
        root=str(dataset.root),
        labels_from=dataset.labels_from,
        images=len(dataset.items),
        groups=len(set(evidence.groups)),
        ordinal=dataset.ordinal,
        classes=evidence.classes,
        imbalance=evidence.imbalance,
        sizes=_sizes(evidence.scan),
        reading=dataset.findings,
        checks=tuple(kind.of(evidence) for kind in CHECKS),
    )


def _sizes(facts: Scan) -> Sizes | None:
    sizes, times = np.unique(facts.sizes[facts.readable], axis=0, return_counts=True)
    if not len(sizes):
        return None
    order = np.lexsort((sizes[:, 1], sizes[:, 0], sizes.prod(axis=1)))
    sizes, times = sizes[order], times[order]
    median = int(np.searchsorted(np.cumsum(times), times.sum() // 2, side="right"))
    most = int(times.argmax())
    smallest, middle, largest, commonest = ((int(sizes[row, 0]), int(sizes[row, 1])) for row in (0, median, -1, most))
    return Sizes(smallest, middle, largest, commonest, int(times[most]), len(sizes))
