"""A labelled image set as plain data, and the one function that reads it from disk."""

import os
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mango_grader.datasets.classes import name_clashes, order_classes
from mango_grader.datasets.grouping import group_of_each, table_of_groups
from mango_grader.datasets.layouts import FOLDERS, read_layout
from mango_grader.datasets.listing import list_files
from mango_grader.text import counted, one_line

__all__ = ["Dataset", "Item", "read_dataset"]


@dataclass(frozen=True)
class Item:
    """One labelled image.

    `path` is relative to the set's root, with forward slashes; `label` indexes its classes; images of one `group`
    (a fruit, a session) never part; `part` is "train", "val" or "test" where the folders say so.
    """

    path: str
    label: int
    group: str
    part: str | None = None


@dataclass(frozen=True)
class Dataset:
    """Items in the order of their paths; `findings` are one-line remarks on what reading it brought up.

    `ordinal` says that `classes` stand in the order of their grade. `labels_from` is "folders" or the label CSVs; "" if
    nobody knows.
    """

    root: Path
    classes: tuple[str, ...]
    items: tuple[Item, ...]
    ordinal: bool = False
    findings: tuple[str, ...] = ()
    labels_from: str = ""

    @property
    def labels_line(self) -> str:
        """Where the labels are from, and how many classes there are: "labels: folders, 3 classes"."""
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
        shown = ", ".join(below[:5]) + (", …" if len(below) > 5 else "")
        deeper = self.root / above
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
    def paths(self) -> list[str]:
        """The path of each item, relative to the root."""
        return [item.path for item in self.items]


def read_dataset(root: str | os.PathLike[str], group_by: str | None = None, ordinal: bool | None = None) -> Dataset:
    """Read class folders, class folders under train/ val/ test/, or a label CSV beside an image folder.

    `root` is the folder, or the label CSV itself. `group_by` is a COLUMN of that CSV, FILE.csv:COLUMN of another
    CSV in the folder, or re:PATTERN on file names (its first group, or the whole match); without it each image is
    its own group. `ordinal` None decides by the class names (A, B, C or numbers are grades). No image is opened.

    Raises `UsageError` when nothing there can be read as labelled images or `group_by` names nothing.
    """
    path = Path(root)
    table_path = path if path.is_file() else None
    folder = path.parent if table_path else path
    files = list_files(folder)
    layout = read_layout(files, table_path, table_of_groups(group_by))
    samples = sorted(layout.samples, key=lambda sample: sample.path)
    classes, ordered = order_classes({sample.label for sample in samples}, ordinal)
    groups, group_findings = group_of_each(files, [sample.path for sample in samples], layout.rows, group_by)
    index = {name: number for number, name in enumerate(classes)}
    dataset = Dataset(
        root=folder,
        classes=classes,
        items=tuple(
            Item(sample.path, index[sample.label], group, sample.part)
            for sample, group in zip(samples, groups, strict=True)
        ),
        ordinal=ordered,
        findings=tuple(map(one_line, (*files.findings, *layout.findings, *name_clashes(classes), *group_findings))),
        labels_from=layout.labels_from,
    )
    return replace(dataset, findings=(*dataset.findings, one_line(dataset.nested))) if dataset.nested else dataset
