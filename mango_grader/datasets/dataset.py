"""A labelled image set as plain data."""

import os
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from mango_grader.text import counted, listed, one_line

__all__ = ["FOLDERS", "PARTS", "Dataset", "Grouping", "Item", "Part", "ReviewedLabels"]

FOLDERS = "folders"
"""What `Dataset.labels_from` says where no CSV gives the labels."""

Grouping = Literal["found", "given", "none"]
"""How it is known which images belong together: they are looked for, somebody said so, or none do."""

Part = Literal["train", "val", "test"]
PARTS: tuple[Part, ...] = get_args(Part)
"""What images are used for: to learn from, to choose by, and to test on."""


@dataclass(frozen=True, slots=True)  # A data set may have millions.
class Item:
    """One labelled image.

    Attributes:
        path: relative to the set's root, with forward slashes.
        label: index of its class in `Dataset.classes`.
        group: images of one group (a fruit, a session) always stay in the same part; the path where it has no other.
        part: the part that the folders or CSVs put it in; None where they put it in none.
    """

    path: str
    label: int
    group: str
    part: Part | None = None


@dataclass(frozen=True)
class ReviewedLabels:
    """What a review of the labels changed.

    Attributes:
        changed: the name of the class that an image had before, by its path, for those that have another one now.
        left_out: the same of the images that were left out as unusable.
    """

    changed: Mapping[str, str]
    left_out: Mapping[str, str]

    def __str__(self) -> str:
        changed = counted(len(self.changed), "label")
        return f"reviewed labels: {changed} changed, {counted(len(self.left_out), 'image')} left out as unusable"


@dataclass(frozen=True)
class Dataset:
    """A labelled image set, its images on disk below `root`.

    Attributes:
        root: the folder that paths are relative to.
        classes: class names; in the order of their grade where `ordinal`.
        items: N images, sorted by path.
        ordinal: whether the classes are grades in order.
        findings: one line for each odd thing that reading the folder brought up.
        labels_from: "folders", or the label CSVs with commas between; "" if not known.
        reviewed: what a review of the labels changed; None where there was none.
        grouping: "given" where the items have groups that somebody named; "none" where each is a group of its own;
            "found" where a split, an inspection or an evaluation looks for images of the same fruit.
    """

    root: Path
    classes: tuple[str, ...]
    items: tuple[Item, ...]
    ordinal: bool = False
    findings: tuple[str, ...] = ()
    labels_from: str = ""
    reviewed: ReviewedLabels | None = None
    grouping: Grouping = "found"

    @property
    def labels_line(self) -> str:
        """Where the labels are from, and how many classes there are, such as `labels: folders, 3 classes`."""
        where = one_line(self.labels_from or "as recorded")
        return f"labels: {where}, {counted(len(self.classes), 'class', 'classes')}"

    @cached_property
    def nested(self) -> str | None:
        """What is wrong where the classes seem to lie one folder deeper than they should; None elsewhere."""
        if self.labels_from != FOLDERS or len(self.classes) != 1:
            return None
        folders = sorted({item.path.rpartition("/")[0] for item in self.items})
        above = os.path.commonpath(folders)
        below = sorted({folder.removeprefix(above).split("/")[1] for folder in folders if folder != above})
        if len(below) < 2 or above in folders:
            return None
        shown, deeper = listed(below, 5), self.root / above
        return f"{self.classes[0]} is the only class; if the folders in it are the classes ({shown}), pass {deeper}"

    @cached_property
    def labels(self) -> NDArray[np.int64]:
        """Class indices, int64 (N,), read-only."""
        labels = np.array([item.label for item in self.items], np.int64)
        labels.flags.writeable = False
        return labels

    @property
    def groups(self) -> list[str]:
        """The group of each item."""
        return [item.group for item in self.items]

    @property
    def parts(self) -> list[Part | None]:
        """The given part of each item."""
        return [item.part for item in self.items]

    @property
    def divided_groups(self) -> tuple[str, ...]:
        """Groups whose images lie in several given parts, sorted; images without one count as train."""
        if not any(item.part for item in self.items):
            return ()
        parts: defaultdict[str, set[Part]] = defaultdict(set)
        for item in self.items:
            parts[item.group].add(item.part or "train")
        return tuple(sorted(group for group, found in parts.items() if len(found) > 1))

    @property
    def paths(self) -> list[str]:
        """The path of each item, relative to the root."""
        return [item.path for item in self.items]
