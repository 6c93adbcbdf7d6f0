"""The label of each image, from class folders or label CSVs, and the order of the classes."""

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath

from mango_grader.datasets.dataset import FOLDERS, Part
from mango_grader.datasets.reading.files import Files, is_image_folder
from mango_grader.datasets.reading.tables import LabelTable, Unused, find_label_tables, read_label_table, why_unfound
from mango_grader.errors import UsageError
from mango_grader.text import about, natural_key

__all__ = ["Labels", "Sample", "name_clashes", "order_classes", "read_labels"]

_PARTS: Mapping[str, Part] = {
    "train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "dev": "val",
    "test": "test", "testing": "test",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Sample:
    """A labelled image.

    Attributes:
        path: relative to the data folder.
        label: the name of its class.
        part: the part that its folder or CSV puts it in; None where they put it in none.
    """

    path: str
    label: str
    part: Part | None = None


@dataclass(frozen=True)
class Labels:
    """The labelled images of a data folder.

    Attributes:
        samples: one for each image that has a label, in no order.
        findings: one line for each kind of image or CSV row that was left out.
        rows: the label CSVs' values by image path and column title; None where folders give the labels.
        source: FOLDERS, or the label CSVs relative to the data folder, with commas between.
    """

    samples: tuple[Sample, ...]
    findings: tuple[str, ...]
    rows: Mapping[str, Mapping[str, str]] | None = None
    source: str = FOLDERS


def read_labels(files: Files, table: Path | None = None, groups: str | None = None) -> Labels:
    """Read the labels of a data folder from class folders or from CSVs, whichever it has.

    Two or more class folders win over CSVs that say the same. Predictions of mango-grader are never labels.

    Args:
        files: what lies in the folder.
        table: the label CSV to use; None finds out.
        groups: the CSV that says which images belong together, relative to the folder: class folders win over it.

    Raises:
        UsageError: folders and CSVs contradict each other, or nothing gives labels; says what to do.
    """
    if table is not None:
        return _from_tables(files, [read_label_table(files, table)])
    folders = _Folders(files)
    several = len(folders.classes) > 1
    tables = find_label_tables(files)
    found = [
        one
        for one in tables.found
        if not several or folders.leave_labels_to(one, is_groups=_name(files, one) == groups)
    ]
    if len(found) > 1:
        found = [one for one in found if _name(files, one) != groups]
    if found:
        labels = _from_tables(files, _one_or_parts(files, found))
    elif several or (folders.classes and not _explains(tables.unused, folders)):
        labels = folders.labels()
    elif tables.unused:
        raise UsageError(f"no labels in {files.root}: {'; '.join(one.reason for one in tables.unused[:3])}")
    else:
        raise UsageError(
            f"no labels in {files.root}: sort the images into one folder per class, or add labels.csv with the columns "
            "image_id,label"
        )
    reported = [one for one in tables.unused if one.meant or not (several or found)]
    unused = tuple(f"not used for labels: {one.reason}" for one in reported)
    return Labels(labels.samples, (*labels.findings, *unused), labels.rows, labels.source)


class _Folders:
    """The classes that folders give: those at the top, or those below part folders (train, val, test)."""

    def __init__(self, files: Files) -> None:
        self._files = files
        parts = [_part(name) for name in files.top_folders]
        below = any(_part(path) and path.count("/") >= 2 for path in files.images)
        self.parted = below and ("train" in parts or all(parts))
        self._depth = 1 if self.parted else 0
        self.label_of = {path: path.split("/")[self._depth] for path in files.images if self._lies_in_class(path)}

    def _lies_in_class(self, path: str) -> bool:
        return path.count("/") > self._depth and (not self.parted or _part(path) is not None)

    @cached_property
    def classes(self) -> Counter[str]:
        """Images by class."""
        return Counter(self.label_of.values())

    def leave_labels_to(self, table: LabelTable, *, is_groups: bool) -> bool:
        """Return whether a CSV labels what is in these folders: no, if it says the same as they do.

        Yes, if the images that it names lie in one folder, as most there do, beside folders of other things (masks).
        Otherwise either could be meant: `UsageError`, except for a CSV of groups.
        """
        named = _labels_by_path(table)
        others = {path: label for path, label in named.items() if not _alike(label, self.label_of.get(path))}
        if not others:
            return False
        counts = Counter(self.label_of.get(path, "") for path in named)
        (folder, count), *further = counts.most_common()
        strange = not any(_alike(label, name) for label in set(named.values()) for name in self.classes)
        at_top = table.path.parent == self._files.root
        if strange and at_top and not further and 2 * count >= self.classes.get(folder, 0):
            return True
        if is_groups:
            return False
        path, label = next(iter(others.items()))
        folders, name = ", ".join(sorted(self.classes)[:5]), _name(self._files, table)
        by_folder = f"{self.label_of[path]} by its folder" if path in self.label_of else "in no class folder"
        raise UsageError(
            f"the folders ({folders}) and {name} in {self._files.root} give different labels: {path} is {by_folder} and"
            f" {label} in the CSV; pass {table.path} to use the CSV, or move it elsewhere to use the folders"
        )

    def labels(self) -> Labels:
        """Return the images in class folders; others are findings."""
        images = self._files.images
        findings = []
        if stray := [path for path in images if path not in self.label_of]:
            findings.append(about(stray, "image", "in no class folder, left out"))
        if not self.parted and self._files.empty_folders:
            findings.append(about(self._files.empty_folders, "folder", "without images"))
        parts = {path: _part(path) if self.parted else None for path in self.label_of}
        samples = (Sample(path, label, parts[path]) for path, label in self.label_of.items())
        return Labels(tuple(samples), tuple(findings))


def _explains(unused: Sequence[Unused], folders: _Folders) -> bool:
    """Return whether the only class is probably a folder of images whose labels are in a CSV that cannot be used."""
    (only,) = folders.classes
    return any(one.meant for one in unused) or (bool(unused) and is_image_folder(only))


def _one_or_parts(files: Files, found: Sequence[LabelTable]) -> Sequence[LabelTable]:
    if len(found) > 1 and not all(_part_of_table(files, table) for table in found):
        names = ", ".join(_name(files, table) for table in found)
        raise UsageError(f"several label CSVs in {files.root} ({names}); pass the path of the one to use")
    return found


def _name(files: Files, table: LabelTable) -> str:
    return table.path.relative_to(files.root).as_posix()


def _part(path: str) -> Part | None:
    return _PARTS.get(path.split("/", 1)[0].casefold())


def _part_of_table(files: Files, table: LabelTable) -> Part | None:
    """Return the part that a CSV is of: train.csv, or train/labels.csv."""
    path = _name(files, table)
    return _PARTS.get(table.path.stem.casefold()) or (_part(path) if "/" in path else None)


def _labels_by_path(table: LabelTable) -> dict[str, str]:
    """Return the label of each image that a CSV names and labels."""
    pairs = zip(table.images, table.labels, strict=True)
    return {path: label for path, label in pairs if path is not None and label}


def _alike(one: str, other: str | None) -> bool:
    return other is not None and _plain_name(one) == _plain_name(other)


@dataclass
class _Rows:
    """Collects the rows of label CSVs; a label of None marks an image that two rows label differently."""

    labels: dict[str, str | None] = field(default_factory=dict)
    parts: dict[str, Part | None] = field(default_factory=dict)
    values: dict[str, dict[str, str]] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    unlabelled: list[str] = field(default_factory=list)
    repeated: list[str] = field(default_factory=list)

    def add(self, table: LabelTable, part: Part | None) -> None:
        for name, path, label, row in zip(table.ids, table.images, table.labels, table.rows, strict=True):
            if path is None:
                self.missing.append(name)
            elif not label:
                self.unlabelled.append(path)
            elif path in self.labels:
                self.repeated.append(path)
                if self.labels[path] != label:
                    self.labels[path] = None
            else:
                self.labels[path] = label
                self.parts[path] = part
                self.values[path] = dict(zip(table.columns, row, strict=True))


def _from_tables(files: Files, tables: Sequence[LabelTable]) -> Labels:
    rows = _Rows()
    for table in tables:
        rows.add(table, _part_of_table(files, table) if len(tables) > 1 else None)
    names = ", ".join(_name(files, table) for table in tables)
    if not rows.labels:
        raise UsageError(f"no image has a label in {names}")
    if len(tables) == 1 and all("/" in path and _part(path) for path in rows.labels):
        rows.parts = {path: _part(path) for path in rows.labels}
    kinds = (
        (rows.missing, "image", "named by the CSV but missing"),
        (_left_out(files, {*rows.labels, *rows.unlabelled}), "image", "not in the CSV, left out"),
        (rows.unlabelled, "image", "without a label, left out"),
        (rows.repeated, "row", "for an image that has a row already"),
        ([path for path, label in rows.labels.items() if label is None], "image", "with two labels, left out"),
    )
    findings = [about(paths, noun, what) for paths, noun, what in kinds if paths]
    if why := why_unfound(rows.missing, files.images):
        findings.append(f"ids of the CSV that name no image: {why}")
    samples = (Sample(path, label, rows.parts[path]) for path, label in rows.labels.items() if label is not None)
    return Labels(tuple(samples), tuple(findings), rows.values, names)


def _left_out(files: Files, named: set[str]) -> list[str]:
    """Return the images that CSVs do not name, except those in other folders with the names of images (masks)."""
    folders = {path.rpartition("/")[0] for path in named}
    stems = {PurePosixPath(path).stem for path in named}
    return [
        path
        for path in files.images
        if path not in named and (path.rpartition("/")[0] in folders or PurePosixPath(path).stem not in stems)
    ]


def order_classes(names: Iterable[str], ordinal: bool | None = None) -> tuple[tuple[str, ...], bool]:
    """Return the distinct names in grade order, and whether they are grades in order.

    Args:
        names: class names, in any order.
        ordinal: True makes grades of any names, in natural order ("grade 2" before "grade 10"); False makes none.
            None takes letters from A on without a gap (A, B, C) and plain numbers (1, 2, 3; 0.5, 1.5) for grades.

    Example:
        >>> order_classes(["C", "A", "B"])
        (('A', 'B', 'C'), True)
        >>> order_classes(["ripe", "rotten", "Green"])
        (('Green', 'ripe', 'rotten'), False)
    """
    distinct = set(names)
    numbers = {name: number for name in distinct if (number := _number(name)) is not None}
    if len(numbers) == len(distinct):
        ordered = sorted(distinct, key=lambda name: (numbers[name], name))
        graded = len(set(numbers.values())) == len(distinct) > 1
    else:
        ordered = sorted(distinct, key=natural_key)
        graded = len(ordered) > 1 and "".join(ordered).upper() == "ABCDEFGHIJKLMNOPQRSTUVWXYZ"[: len(ordered)]
    return tuple(ordered), graded if ordinal is None else ordinal


def name_clashes(names: Iterable[str]) -> list[str]:
    """Return one finding for each set of names that are probably one class: spelled alike, or equal as numbers.

    Args:
        names: distinct class names.

    Example:
        >>> name_clashes(["Stem rot", "stem_rot", "Healthy"])
        ["class names differ only in case, spaces, hyphens or underscores: 'Stem rot', 'stem_rot'"]
    """
    alike = defaultdict[tuple[str, str | float], list[str]](list)
    for name in names:
        number = _number(name.replace(",", "."))
        if number is None:
            alike["differ only in case, spaces, hyphens or underscores", _plain_name(name)].append(name)
        else:
            alike["are equal as numbers", number].append(name)
    return [
        f"class names {how}: {', '.join(map(repr, sorted(spellings)))}"
        for (how, _), spellings in alike.items()
        if len(spellings) > 1
    ]


def _plain_name(name: str) -> str:
    """Return a name without case, and without the spaces, hyphens and underscores between its words; "A-" keeps its."""
    return re.sub(r"(?<=\w)[\s_-]+(?=\w)", "", unicodedata.normalize("NFKC", name).strip()).casefold()


def _number(name: str) -> float | None:
    return float(name) if re.fullmatch(r"\s*[+-]?\d+(\.\d+)?\s*", name, re.ASCII) else None
