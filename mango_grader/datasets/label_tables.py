"""Which CSVs beside images hold their labels, and why the others do not."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from mango_grader.datasets.listing import Files
from mango_grader.datasets.resolve import Resolver
from mango_grader.datasets.tables import IDS, LABELS, Table, read_table
from mango_grader.errors import UsageError
from mango_grader.runtime.images.names import IMAGE_SUFFIXES

__all__ = ["LabelTables", "Unused", "find_label_tables", "read_label_table", "why_unfound"]


@dataclass(frozen=True)
class Unused:
    """A CSV that gives no labels, and why; `meant` where it looks as if it should."""

    path: str
    reason: str
    meant: bool


@dataclass(frozen=True)
class LabelTables:
    """The label CSVs at the shallowest depth that has one, and those that could not be used down to there."""

    found: tuple[Table, ...]
    unused: tuple[Unused, ...]


def find_label_tables(files: Files) -> LabelTables:
    """Read the CSVs of `files`, the shallowest first."""
    found: list[Table] = []
    unused: list[Unused] = []
    for depth in sorted({path.count("/") for path in files.tables}):
        for path in files.tables:
            if path.count("/") != depth:
                continue
            try:
                table = read_table(files.root / path, _ImageNames(files.images))
            except UsageError as error:
                unused.append(Unused(path, str(error), meant=True))
                continue
            if (reason := _why_unusable(table, files)) is None:
                found.append(table)
            else:
                unused.append(Unused(path, f"{path}: {reason}", _is_meant(table)))
        if found:
            break
    return LabelTables(tuple(found), tuple(unused))


def read_label_table(files: Files, path: Path) -> Table:
    """Read a label CSV of `files`; raise `UsageError` that says why it gives no labels."""
    table = read_table(path, _ImageNames(files.images))
    if reason := _why_unusable(table, files):
        raise UsageError(f"{path.name}: {reason}")
    return table


def why_unfound(ids: Iterable[str], images: Sequence[str]) -> str | None:
    """Return what is wrong with ids that name no image, as far as an example shows it."""
    ids = [name.replace("\\", "/") for name in ids]
    if url := next((name for name in ids if re.match(r"https?://|s3://|gs://", name, re.IGNORECASE)), None):
        return f"they are addresses, such as {url}; write the file names"
    stems = {PurePosixPath(path).stem.casefold(): path for path in images}
    short = {stem.lstrip("0"): path for stem, path in stems.items() if stem.startswith("0")}
    for name in ids:
        stem = PurePosixPath(name).stem.casefold()
        if (path := stems.get(stem)) is not None:
            return f"the endings differ, as {name} for {path}"
        if stem.isdecimal() and (path := short.get(stem.lstrip("0"))) is not None:
            return f"leading zeros are lost, as {name} for {path}; keep that column as text"
    return None


def _why_unusable(table: Table, files: Files) -> str | None:
    if table.is_result:
        return "holds answers of mango-grader, not labels"
    if table.id_column is None or table.label_column is None:
        if table.begins_with_comment:
            return f"its first line is a comment ({table.columns[0]}); remove it"
        hint = ""
        if classes := _one_hot(table):
            hint = (
                f"; write the names {', '.join(classes[:3])}{', …' if len(classes) > 3 else ''} into one column label"
            )
        titles = ", ".join(table.columns) or "none"
        return f"it needs the columns image_id and label; it has: {titles}{hint}"
    if not table.rows:
        return "it has no rows"
    if not Resolver(files.images, table.ids).found:
        why = why_unfound(table.ids, files.images) or f"they are like {table.ids[0]}, the images like {files.images[0]}"
        return f"none of the {len(table.rows)} rows names an image in {files.root}: {why}"
    return None


def _is_meant(table: Table) -> bool:
    """Return whether a CSV that cannot be used looks as if it held labels."""
    named = table.id_column is not None and table.label_column is not None
    titled = table.path.stem.casefold() in {"label", "labels", "classes"}
    return titled or named or table.begins_with_comment or bool(_one_hot(table))


def _one_hot(table: Table) -> list[str]:
    """Return the titles of columns that hold a single 1 among zeros in each row, if there are such."""
    marked = [
        (title, column)
        for title, column in zip(table.columns, zip(*table.rows, strict=True), strict=False)
        if title.casefold() not in (*IDS, *LABELS) and set(column) <= {"0", "1", "0.0", "1.0", ""}
    ]
    if len(marked) < 2:
        return []
    ones = [sum(cell in {"1", "1.0"} for cell in row) for row in zip(*(column for _, column in marked), strict=True)]
    return [title for title, _ in marked] if set(ones) == {1} else []


class _ImageNames:
    """Says whether a cell names an image: by its ending, or as the stem of a file that is there."""

    def __init__(self, images: Iterable[str]) -> None:
        self._stems = {PurePosixPath(path).stem for path in images}

    def __call__(self, cell: str) -> bool:
        return PurePosixPath(cell).suffix.lower() in IMAGE_SUFFIXES or cell in self._stems
