"""What a check of an inspection looks at, what it is, and the images that it shows."""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np

from mango_grader.datasets.dataset import Dataset
from mango_grader.datasets.relations import Relations, find_relations
from mango_grader.datasets.scan import Scan
from mango_grader.progress import Progress, SilentProgress

__all__ = ["Check", "ClassCount", "Evidence", "Gallery", "Paths", "several"]

Paths = tuple[str, ...]


@dataclass(frozen=True)
class ClassCount:
    """How many images of a class there are.

    Attributes:
        name: the class.
        images: number of images, readable or not.
        groups: number of their groups, those of related images merged.
        parts: number of images by the part that folders or CSVs put them in.
    """

    name: str
    images: int
    groups: int
    parts: dict[str, int]


@dataclass(frozen=True)
class Evidence:
    """What all checks look at.

    Attributes:
        dataset: N images.
        scan: the facts about them, N rows.
        seed: random seed of the shortcut probe's folds.
        progress: shows how far the search for images of the same fruit is.
    """

    dataset: Dataset
    scan: Scan
    seed: int = 0
    progress: Progress = SilentProgress()

    @cached_property
    def relations(self) -> Relations:
        """Which images belong together."""
        return find_relations(self.dataset, self.scan, self.progress, check_given=True)

    @cached_property
    def groups(self) -> list[str]:
        """The group of each item, those of related images merged."""
        return self.relations.groups

    @cached_property
    def classes(self) -> tuple[ClassCount, ...]:
        """Images and groups of each class."""
        items, labels = self.dataset.items, self.dataset.labels
        counts = []
        for label, name in enumerate(self.dataset.classes):
            members = np.flatnonzero(labels == label).tolist()
            parts = Counter[str](part for index in members if (part := items[index].part))
            counts.append(ClassCount(name, len(members), len({self.groups[index] for index in members}), dict(parts)))
        return tuple(counts)

    @property
    def imbalance(self) -> float:
        """Images of the largest class for each of the smallest, 1 or more."""
        images = [count.images for count in self.classes]
        return max(images) / min(images)

    def named(self, sets: Iterable[Sequence[int]]) -> tuple[Paths, ...]:
        """Return sets of items as sets of paths."""
        return tuple(tuple(self.dataset.items[index].path for index in one) for one in sets)


@dataclass(frozen=True)
class Gallery:
    """Images to show on the page.

    Attributes:
        title: its heading.
        caption: what it means, in a few words.
        sets: paths of images that belong together.
    """

    title: str
    caption: str
    sets: tuple[Paths, ...]


@dataclass(frozen=True)
class Check(ABC):
    """One kind of thing to look for; a frozen dataclass whose fields are what it saw, and what JSON shows."""

    @classmethod
    @abstractmethod
    def of(cls, evidence: Evidence) -> Self:
        """Look at the evidence."""

    def findings(self) -> Iterator[str]:
        """Yield a line for each thing that should be looked at before training."""
        yield from ()

    def notes(self) -> Iterator[str]:
        """Yield a line for each thing that is worth knowing, but needs no action."""
        yield from ()

    def galleries(self) -> Iterator[Gallery]:
        """Yield the images that show it."""
        yield from ()

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values, under names that no other check uses."""
        return asdict(self)


def several(items: Sequence[int], values: Sequence[object]) -> bool:
    """Return whether items have several values.

    Args:
        items: indices.
        values: one for each index.
    """
    return len({values[index] for index in items}) > 1
