"""What the data of a run are, in counts: classes, groups and findings of each part."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from mango_grader.datasets.probe import ProbeResult


@dataclass(frozen=True)
class PartSummary:
    """One part of a split, in counts.

    Attributes:
        name: "train", "val" or "test".
        images: number of images of each class, in class order.
        groups: number of groups (fruit) of the whole part.
    """

    name: str
    images: tuple[int, ...]
    groups: int

    @classmethod
    def of(cls, name: str, labels: NDArray[np.int64], groups: Sequence[str], classes: int) -> Self:
        """Count the images of a part.

        Args:
            name: of the part.
            labels: (N,), class index of each image.
            groups: N names, the group of each image.
            classes: number of classes, those without an image included.
        """
        counts = np.bincount(labels, minlength=classes)
        return cls(name, tuple(int(count) for count in counts), len(set(groups)))


@dataclass(frozen=True)
class DataSummary:
    """Where the images of a run come from, and how they were split.

    Attributes:
        source: the folder.
        parts: one summary per part.
        findings: what is odd about the images, one line each.
        probe: how well the image border alone predicts the class; None where that was not tried.
    """

    source: str
    parts: tuple[PartSummary, ...]
    findings: tuple[str, ...] = ()
    probe: ProbeResult | None = None
