"""Reviewed labels: a CSV of a person's decisions on labels in doubt, and the data set that they make."""

import csv
import io
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from mango_grader.datasets.dataset import Dataset, Item, ReviewedLabels
from mango_grader.datasets.reading.tables import REVIEWED, Table, read_table
from mango_grader.errors import UsageError
from mango_grader.files import write_bytes
from mango_grader.text import counted, listed

__all__ = ["REVIEW_COLUMNS", "UNSURE", "UNUSABLE", "Decision", "Review", "read_review"]

UNSURE = "unsure"
"""Reviewed label of an image that its reviewer could not decide on: its label stays."""

UNUSABLE = "unusable"
"""Reviewed label of an image that is to be left out."""

REVIEW_COLUMNS = ("path", "label", REVIEWED, "note")
"""Titles of a review; further columns may follow."""


@dataclass(frozen=True)
class Decision:
    """What a reviewer said of one image.

    Attributes:
        path: relative to the data folder, with forward slashes.
        label: the class that it had when it was reviewed; "" if the CSV does not say it.
        reviewed: the class that it should have, UNSURE or UNUSABLE; "" where nobody has looked yet. A class of the
            data that is called like one of the two words is meant as a class.
        note: anything.
    """

    path: str
    label: str = ""
    reviewed: str = ""
    note: str = ""


@dataclass(frozen=True)
class Review:
    """Decisions on labels, one for each image.

    Attributes:
        name: of the file that they are from.
        decisions: in the file's order.
    """

    name: str
    decisions: tuple[Decision, ...]

    @property
    def begun(self) -> bool:
        """Whether a decision or a note was entered."""
        return any(each.reviewed or each.note for each in self.decisions)

    def apply(self, dataset: Dataset) -> Dataset:
        """Return the data set with corrected labels and without unusable images.

        Args:
            dataset: N images, not reviewed yet.

        Raises:
            UsageError: a decision is on an image or for a class that the data lack, or on another label than the image
                has.

        Example:
            >>> from pathlib import Path
            >>> items = (Item("A/1.jpg", 0, "A/1.jpg"), Item("A/2.jpg", 0, "A/2.jpg"), Item("B/3.jpg", 1, "B/3.jpg"))
            >>> mangos = Dataset(Path("mangos"), ("A", "B"), items)
            >>> review = Review("reviewed.csv", (Decision("A/1.jpg", "A", "B"), Decision("A/2.jpg", "A", "unusable")))
            >>> print(review.apply(mangos).reviewed)
            reviewed labels: 1 label changed, 1 image left out as unusable
        """
        labels = {item.path: dataset.classes[item.label] for item in dataset.items}
        self._check(labels, dataset.classes)
        decided = {each.path: each.reviewed for each in self.decisions if each.reviewed}
        kept = (_corrected(item, decided.get(item.path, ""), dataset.classes) for item in dataset.items)
        items = tuple(item for item in kept if item is not None)
        now = {item.path: dataset.classes[item.label] for item in items}
        reviewed = ReviewedLabels(
            changed={path: was for path, was in labels.items() if now.get(path, was) != was},
            left_out={path: was for path, was in labels.items() if path not in now},
        )
        return replace(dataset, items=items, reviewed=reviewed)

    def _check(self, labels: Mapping[str, str], classes: tuple[str, ...]) -> None:
        if unknown := [each.path for each in self.decisions if each.path not in labels]:
            images = counted(len(unknown), "image")
            raise UsageError(f"{self.name} names {images} that the data lack: {listed(unknown)}")
        words = {*classes, UNSURE, UNUSABLE, ""}
        if strange := next((each for each in self.decisions if each.reviewed not in words), None):
            raise UsageError(
                f"{self.name}: {strange.path} has the reviewed label {strange.reviewed!r}; write {', '.join(classes)},"
                f" {UNSURE} or {UNUSABLE}"
            )
        for each in self.decisions:
            if each.reviewed and each.label and labels[each.path] not in {each.label, each.reviewed}:
                raise UsageError(
                    f"{self.name}: {each.path} was {each.label} when it was reviewed and is {labels[each.path]} now;"
                    " review it again"
                )

    def write(self, path: str | os.PathLike[str], further: Mapping[str, Mapping[str, object]] | None = None) -> None:
        """Write a CSV in UTF-8 with the mark by which Excel recognises it.

        Args:
            path: of the file.
            further: titles of further columns, each with its value by image path.
        """
        columns = further or {}
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow([*REVIEW_COLUMNS, *columns])
        for each in self.decisions:
            values = (column.get(each.path, "") for column in columns.values())
            writer.writerow([each.path, each.label, each.reviewed, each.note, *values])
        write_bytes(path, text.getvalue().encode("utf-8-sig"))


def _corrected(item: Item, reviewed: str, classes: tuple[str, ...]) -> Item | None:
    """Return an item with its reviewed label; None for one to leave out."""
    if reviewed in classes:
        return replace(item, label=classes.index(reviewed))
    return None if reviewed == UNUSABLE else item


def read_review(path: str | os.PathLike[str]) -> Review:
    """Read reviewed labels, as `data suspects`, its page or a spreadsheet wrote them.

    Args:
        path: a CSV with the columns path and reviewed_label, and if possible label and note.

    Raises:
        UsageError: there is no such CSV, or it decides differently on the same image.
    """
    path = Path(path)
    if not path.is_file():
        raise UsageError(f"--labels {path}: no such file")
    table = read_table(path)
    if not table.is_review:
        titles = ", ".join(table.columns) or "none"
        raise UsageError(f"--labels {path}: it needs the columns path and {REVIEWED}; it has: {titles}")
    return Review(path.name, tuple(_once(path, _decisions(table))))


def _decisions(table: Table) -> Iterable[Decision]:
    titles = [column.casefold() for column in table.columns]
    places = [titles.index(title) if title in titles else None for title in REVIEW_COLUMNS]
    for row in table.rows:
        path, label, reviewed, note = ("" if place is None else row[place] for place in places)
        yield Decision(path.replace("\\", "/").removeprefix("./"), label, reviewed, note)


def _once(path: Path, decisions: Iterable[Decision]) -> Iterable[Decision]:
    """Return one decision for each image; raise UsageError if two differ."""
    found: dict[str, Decision] = {}
    for each in decisions:
        before = found.setdefault(each.path, each)
        if before.reviewed != each.reviewed:
            raise UsageError(f"--labels {path}: {each.path} has two rows with different reviewed labels")
    return found.values()
