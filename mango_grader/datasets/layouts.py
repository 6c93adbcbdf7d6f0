"""The three layouts of a labelled image set, told apart and read into samples; what is odd becomes a finding."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath

from mango_grader.datasets.classes import plain_name
from mango_grader.datasets.label_tables import Unused, find_label_tables, read_label_table, why_unfound
from mango_grader.datasets.listing import Files, about
from mango_grader.datasets.resolve import Resolver, is_image_folder
from mango_grader.datasets.tables import Table
from mango_grader.errors import UsageError

__all__ = ["FOLDERS", "Layout", "Sample", "read_layout"]

FOLDERS = "folders"
"""What a layout's labels are from where they are from no CSV."""

_PARTS = {
    "train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "dev": "val",
    "test": "test", "testing": "test",
}  # fmt: skip


@dataclass(frozen=True)
class Sample:
    """An image path relative to the root, its class name, and the part its folder or CSV puts it in."""

    path: str
    label: str
    part: str | None = None


@dataclass(frozen=True)
class Layout:
    """What a reader found; `rows` holds the label CSV's cells by image path and column title.

    `labels_from` is FOLDERS, or the label CSVs relative to the root, with commas between.
    """

    samples: tuple[Sample, ...]
    findings: tuple[str, ...]
    rows: Mapping[str, Mapping[str, str]] | None = None
    labels_from: str = FOLDERS


def read_layout(files: Files, table: Path | None = None, groups: str | None = None) -> Layout:
    """Read the label CSV `table`, or find out which layout `files` has.

    Two or more class folders win over CSVs that say the same, and over `groups`, the CSV (relative to the root) that
    says what belongs together. Where folders and CSVs contradict each other, and where nothing gives labels,
    `UsageError` says so and what to do. Answers of mango-grader are never labels.
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
        layout = _from_tables(files, _one_or_parts(files, found))
    elif several or (folders.classes and not _explains(tables.unused, folders)):
        layout = folders.layout()
    elif tables.unused:
        raise UsageError(f"no labels in {files.root}: {'; '.join(one.reason for one in tables.unused[:3])}")
    else:
        raise UsageError(
            f"no labels in {files.root}: sort the images into one folder per class, or add labels.csv with the columns "
            "image_id,label"
        )
    told = [one for one in tables.unused if one.meant or not (several or found)]
    unused = tuple(f"not used for labels: {one.reason}" for one in told)
    return Layout(layout.samples, (*layout.findings, *unused), layout.rows, layout.labels_from)


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

    def leave_labels_to(self, table: Table, *, is_groups: bool) -> bool:
        """Return whether a CSV labels what is in these folders: no, if it says the same as they do.

        Yes, if the images that it names lie in one folder, as most there do, beside folders of other things (masks).
        Otherwise either could be meant: `UsageError`, except for a CSV of groups.
        """
        named = _named(self._files, table)
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
        raise UsageError(
            f"the folders ({', '.join(sorted(self.classes)[:5])}) and {_name(self._files, table)} in {self._files.root}"
            f" give different labels, as {self.label_of.get(path) or 'none'} and {label} for {path}; pass {table.path}"
            " to use it, or move it elsewhere to use the folders"
        )

    def layout(self) -> Layout:
        """Return the images in class folders; others are findings."""
        images = self._files.images
        findings = []
        if stray := [path for path in images if path not in self.label_of]:
            findings.append(about(stray, "image", "in no class folder and left out"))
        if not self.parted and self._files.empty_folders:
            findings.append(about(self._files.empty_folders, "folder", "without images"))
        parts = {path: _part(path) if self.parted else None for path in self.label_of}
        samples = (Sample(path, label, parts[path]) for path, label in self.label_of.items())
        return Layout(tuple(samples), tuple(findings))


def _explains(unused: Sequence[Unused], folders: _Folders) -> bool:
    """Return whether a CSV that could not be used is why there seems to be one class, which is none."""
    (only,) = folders.classes
    return any(one.meant for one in unused) or (bool(unused) and is_image_folder(only))


def _one_or_parts(files: Files, found: Sequence[Table]) -> Sequence[Table]:
    if len(found) > 1 and not all(_part_of_table(files, table) for table in found):
        names = ", ".join(_name(files, table) for table in found)
        raise UsageError(f"several label CSVs in {files.root} ({names}); pass the path of the one to use")
    return found


def _name(files: Files, table: Table) -> str:
    return table.path.relative_to(files.root).as_posix()


def _part(path: str) -> str | None:
    return _PARTS.get(path.split("/", 1)[0].casefold())


def _part_of_table(files: Files, table: Table) -> str | None:
    """Return the part that a CSV is of: train.csv, or train/labels.csv."""
    path = _name(files, table)
    return _PARTS.get(table.path.stem.casefold()) or (_part(path) if "/" in path else None)


def _named(files: Files, table: Table) -> dict[str, str]:
    """Return the label of each image that a CSV names and labels."""
    resolver, column = Resolver(files.images, table.ids), table.label_column or 0
    pairs = ((resolver(name), row[column]) for name, row in zip(table.ids, table.rows, strict=True))
    return {path: label for path, label in pairs if path is not None and label}


def _alike(one: str, other: str | None) -> bool:
    return other is not None and plain_name(one) == plain_name(other)


@dataclass
class _Rows:
    """Collects the rows of label CSVs; a label of None marks an image that two rows label differently."""

    labels: dict[str, str | None] = field(default_factory=dict)
    parts: dict[str, str | None] = field(default_factory=dict)
    cells: dict[str, dict[str, str]] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    unlabelled: list[str] = field(default_factory=list)
    repeated: list[str] = field(default_factory=list)

    def add(self, table: Table, images: tuple[str, ...], part: str | None) -> None:
        labels = table.label_column or 0
        resolver = Resolver(images, table.ids)
        for name, row in zip(table.ids, table.rows, strict=True):
            path, label = resolver(name), row[labels]
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
                self.cells[path] = dict(zip(table.columns, row, strict=True))


def _from_tables(files: Files, tables: Sequence[Table]) -> Layout:
    rows = _Rows()
    for table in tables:
        rows.add(table, files.images, _part_of_table(files, table) if len(tables) > 1 else None)
    names = ", ".join(_name(files, table) for table in tables)
    if not rows.labels:
        raise UsageError(f"no image has a label in {names}")
    if len(tables) == 1 and all("/" in path and _part(path) for path in rows.labels):
        rows.parts = {path: _part(path) for path in rows.labels}
    torn = [path for path, label in rows.labels.items() if label is None]
    remarks = (
        (rows.missing, "image", "named by the CSV but not there"),
        (_left_out(files, {*rows.labels, *rows.unlabelled}), "image", "not in the CSV and left out"),
        (rows.unlabelled, "image", "without a label and left out"),
        (rows.repeated, "row", "a repetition of an image"),
        (torn, "image", "labelled in two ways and left out"),
    )
    findings = [about(paths, what, remark) for paths, what, remark in remarks if paths]
    if why := why_unfound(rows.missing, files.images):
        findings.append(f"ids of the CSV that name no image: {why}")
    samples = (Sample(path, label, rows.parts[path]) for path, label in rows.labels.items() if label is not None)
    return Layout(tuple(samples), tuple(findings), rows.cells, names)


def _left_out(files: Files, named: set[str]) -> list[str]:
    """Return the images that CSVs do not name; those beside named ones in all but the folder (masks) are companions."""
    folders = {path.rpartition("/")[0] for path in named}
    stems = {PurePosixPath(path).stem for path in named}
    return [
        path
        for path in files.images
        if path not in named and (path.rpartition("/")[0] in folders or PurePosixPath(path).stem not in stems)
    ]
