"""The three layouts of a labelled image set, told apart and read into samples; what is odd becomes a finding."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from mango_grader.datasets.listing import Files, about
from mango_grader.datasets.resolve import Resolver
from mango_grader.datasets.tables import Table, read_table
from mango_grader.errors import UsageError
from mango_grader.runtime.formats import IMAGE_SUFFIXES

__all__ = ["Layout", "Sample", "read_layout"]

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
    """What a reader found; `rows` holds the label CSV's cells by image path and column title."""

    samples: tuple[Sample, ...]
    findings: tuple[str, ...]
    rows: Mapping[str, Mapping[str, str]] | None = None


def read_layout(files: Files, table: Path | None = None) -> Layout:
    """Read the label CSV `table`, or find out which layout `files` has; raise `UsageError` if none fits.

    Class folders win over a CSV whose labels are their names (it describes them); otherwise the CSV wins.
    """
    if table is not None:
        return _from_tables(files, [_label_table(files, table)])
    if any(_PARTS.get(name.casefold()) == "train" for name in files.top_folders) and any(
        _part(path) and path.count("/") >= 2 for path in files.images
    ):
        return _from_folders(files, parts=True)
    tables = _label_tables(files)
    labels = {row[found.label_column or 0].strip().casefold() for found in tables for row in found.rows}
    if tables and labels.isdisjoint(name.casefold() for name in files.top_folders):
        return _from_tables(files, tables)
    if files.top_folders:
        return _from_folders(files, parts=False)
    raise UsageError(
        f"no labels in {files.root}: sort the images into one folder per class, or add labels.csv with the columns "
        "image_id,label"
    )


def _from_folders(files: Files, parts: bool) -> Layout:
    depth = 1 if parts else 0
    samples, stray = [], []
    for path in files.images:
        *folders, _ = path.split("/")
        part = _part(path) if parts else None
        if len(folders) <= depth or (parts and part is None):
            stray.append(path)
        else:
            samples.append(Sample(path, folders[depth], part))
    findings = []
    if stray:
        findings.append(about(stray, "image", "in no class folder and left out"))
    if not parts and files.empty_folders:
        findings.append(about(files.empty_folders, "folder", "without images"))
    return Layout(tuple(samples), tuple(findings))


def _part(path: str) -> str | None:
    return _PARTS.get(path.split("/", 1)[0].casefold())


def _label_tables(files: Files) -> list[Table]:
    """The label CSVs at the shallowest depth that has one: a single one, or one per part (train.csv, dev.csv)."""
    for depth in sorted({path.count("/") for path in files.tables}):
        found = []
        for path in files.tables:
            if path.count("/") == depth:
                table = read_table(files.root / path, _is_image(files))
                if table.id_column is not None and table.label_column is not None and table.rows:
                    resolver = Resolver(files.images, [row[table.id_column] for row in table.rows])
                    found += [table] if resolver.found else []
        parts = [_PARTS.get(table.path.stem.casefold()) for table in found]
        if found and (len(found) == 1 or all(parts)):
            return found
        if found:
            names = ", ".join(table.path.name for table in found)
            raise UsageError(f"several label CSVs in {files.root} ({names}); pass the path of the one to use")
    return []


def _label_table(files: Files, path: Path) -> Table:
    table = read_table(path, _is_image(files))
    titles = ", ".join(table.columns)
    if table.id_column is None or table.label_column is None:
        raise UsageError(f"{path.name} needs the columns image_id and label; it has: {titles or 'none'}")
    if not Resolver(files.images, [row[table.id_column] for row in table.rows]).found:
        raise UsageError(f"none of the {len(table.rows)} rows of {path.name} names an image in {files.root}")
    return table


def _is_image(files: Files) -> "_ImageNames":
    return _ImageNames(files.images)


class _ImageNames:
    """Says whether a cell names an image: by its ending, or as the stem of a file that is there."""

    def __init__(self, images: Iterable[str]) -> None:
        self._stems = {PurePosixPath(path).stem for path in images}

    def __call__(self, cell: str) -> bool:
        return PurePosixPath(cell).suffix.lower() in IMAGE_SUFFIXES or cell in self._stems


@dataclass
class _Rows:
    """Collects the rows of label CSVs; a label of None marks an image that two rows label differently."""

    labels: dict[str, str | None] = field(default_factory=dict)
    parts: dict[str, str | None] = field(default_factory=dict)
    cells: dict[str, dict[str, str]] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    unlabelled: list[str] = field(default_factory=list)
    repeated: list[str] = field(default_factory=list)

    def add(self, table: Table, images: tuple[str, ...]) -> None:
        ids, labels = table.id_column or 0, table.label_column or 0
        resolver = Resolver(images, [row[ids] for row in table.rows])
        for row in table.rows:
            path, label = resolver(row[ids]), row[labels]
            if path is None:
                self.missing.append(row[ids])
            elif not label.strip():
                self.unlabelled.append(path)
            elif path in self.labels:
                self.repeated.append(path)
                if self.labels[path] != label:
                    self.labels[path] = None
            else:
                self.labels[path] = label
                self.parts[path] = _PARTS.get(table.path.stem.casefold())
                self.cells[path] = dict(zip(table.columns, row, strict=True))


def _from_tables(files: Files, tables: list[Table]) -> Layout:
    rows = _Rows()
    for table in tables:
        rows.add(table, files.images)
    if not rows.labels:
        raise UsageError(f"no image has a label in {', '.join(table.path.name for table in tables)}")
    torn = [path for path, label in rows.labels.items() if label is None]
    named = {*rows.labels, *rows.unlabelled}
    folders = {path.rpartition("/")[0] for path in named}
    unnamed = [path for path in files.images if path not in named and path.rpartition("/")[0] in folders]
    several = len(tables) > 1
    remarks = (
        (rows.missing, "image", "named by the CSV but not there"),
        (unnamed, "image", "not in the CSV and left out"),
        (rows.unlabelled, "image", "without a label and left out"),
        (rows.repeated, "row", "a repetition of an image"),
        (torn, "image", "labelled in two ways and left out"),
    )
    return Layout(
        tuple(
            Sample(path, label, rows.parts[path] if several else None)
            for path, label in rows.labels.items()
            if label is not None
        ),
        tuple(about(names, what, remark) for names, what, remark in remarks if names),
        rows.cells,
    )
