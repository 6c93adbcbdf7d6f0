"""CSVs beside images: their rows, the columns that name image and label, and why a CSV gives no labels."""

import csv
import io
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from mango_grader.datasets.reading.files import Files, find_images
from mango_grader.errors import UsageError
from mango_grader.runtime.images.names import IMAGE_SUFFIXES
from mango_grader.runtime.inference.records import is_result
from mango_grader.text import listed

__all__ = [
    "REVIEWED", "LabelTable", "LabelTables", "Table", "Unused", "find_label_tables", "read_label_table", "read_table",
    "why_unfound",
]  # fmt: skip

REVIEWED = "reviewed_label"
"""Title of the column by which a CSV of reviewed labels is recognised."""

_IDS = (
    "image_id", "path", "image_path", "filepath", "file_path", "filename", "file_name", "image", "image_name", "img",
    "file", "id", "name",
)  # fmt: skip
_LABELS = ("label", "class", "grade", "category", "target", "class_name", "label_name", "quality")


@dataclass(frozen=True)
class Table:
    """A CSV as text.

    Attributes:
        path: where it lies.
        columns: titles; image_id, label, column3, … where the file has none.
        rows: values without spaces around them, each row as long as `columns`.
    """

    path: Path
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    @property
    def id_column(self) -> int | None:
        """Index of the column that names the image: by its title, or the first of two."""
        found = _first(self.columns, _IDS)
        return 0 if found is None and self._untitled else found

    @property
    def label_column(self) -> int | None:
        """Index of the column that holds the class: by its title, or the second of two."""
        found = _first(self.columns, _LABELS)
        return 1 if found is None and self._untitled else found

    @property
    def ids(self) -> list[str]:
        """What names the image in each row; empty without such a column."""
        return [] if self.id_column is None else [row[self.id_column] for row in self.rows]

    @property
    def is_result(self) -> bool:
        """Whether mango-grader wrote these rows: predictions, not labels."""
        return is_result(self.columns)

    @property
    def is_review(self) -> bool:
        """Whether the rows are decisions on labels: they change labels where `--labels` names them, and give none."""
        return {"path", REVIEWED} <= {column.casefold() for column in self.columns}

    @property
    def begins_with_comment(self) -> bool:
        """Whether the first line is a comment, so that the titles are not known."""
        known = (*_IDS, *_LABELS)
        return bool(self.columns) and self.columns[0].startswith("#") and _first(self.columns, known) is None

    @property
    def one_hot(self) -> list[str]:
        """Titles of columns that hold a single 1 among zeros in each row; empty if there are none such."""
        marked = [
            (title, column)
            for title, column in zip(self.columns, zip(*self.rows, strict=True), strict=False)
            if title.casefold() not in (*_IDS, *_LABELS) and set(column) <= {"0", "1", "0.0", "1.0", ""}
        ]
        if len(marked) < 2:
            return []
        rows = zip(*(column for _, column in marked), strict=True)
        ones = {sum(value in {"1", "1.0"} for value in row) for row in rows}
        return [title for title, _ in marked] if ones == {1} else []

    @property
    def _untitled(self) -> bool:
        known = _first(self.columns, _IDS), _first(self.columns, _LABELS)
        return len(self.columns) == 2 and known == (None, None) and not self.begins_with_comment


def read_table(path: Path, is_image: Callable[[str], bool] = lambda value: False) -> Table:
    """Read a CSV separated by commas, semicolons or tabs. Short rows are filled with "", blank rows left out.

    Args:
        path: a UTF-8 file, with or without a byte order mark.
        is_image: whether a value names an image; if one of the first row does, the file has no row of titles.

    Raises:
        UsageError: the file is not UTF-8 text or no CSV.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        first = text.lstrip("\r\n").split("\n", 1)[0]
        delimiter = max(",;\t", key=first.count)
        reader = csv.reader(io.StringIO(text), delimiter=delimiter, skipinitialspace=True)
        rows = [row for row in ([_stripped(value) for value in values] for values in reader) if any(row)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"cannot read {path.name} as a UTF-8 CSV: {error}") from error
    if not rows:
        return Table(path, (), ())
    if any(is_image(value) for value in rows[0]):
        titles = ["image_id", "label", *(f"column{number}" for number in range(3, len(rows[0]) + 1))]
        titles = titles[: len(rows[0])]
    else:
        titles = rows.pop(0)
    width = len(titles)
    return Table(path, tuple(titles), tuple(tuple((row + [""] * width)[:width]) for row in rows))


def _stripped(value: str) -> str:
    # Spreadsheets and web pages leave characters that nobody sees: byte order marks and zero-width spaces.
    return value.strip().strip("\ufeff\u200b").strip()


def _first(columns: tuple[str, ...], names: tuple[str, ...]) -> int | None:
    folded = [column.casefold().replace(" ", "_") for column in columns]
    return next((folded.index(name) for name in names if name in folded), None)


@dataclass(frozen=True)
class LabelTable(Table):
    """A CSV that gives labels.

    Attributes:
        images: path of the image that each row names, relative to the data folder; None where none or several fit.
        labels: class of each row; "" where it has none.
    """

    images: tuple[str | None, ...]
    labels: tuple[str, ...]


@dataclass(frozen=True)
class Unused:
    """A CSV that gives no labels.

    Attributes:
        path: relative to the data folder.
        reason: one line that says why, and what to do.
        meant: whether it looks as if it should give labels.
    """

    path: str
    reason: str
    meant: bool


@dataclass(frozen=True)
class LabelTables:
    """The CSVs of a data folder that could give its labels.

    Attributes:
        found: label CSVs at the shallowest depth that has one.
        unused: the other CSVs down to that depth.
    """

    found: tuple[LabelTable, ...]
    unused: tuple[Unused, ...]


def find_label_tables(files: Files) -> LabelTables:
    """Read the CSVs of a data folder, the shallowest first, down to the first depth that has a label CSV.

    Args:
        files: what lies in the folder.
    """
    is_image = _image_test(files.images)
    found: list[LabelTable] = []
    unused: list[Unused] = []
    for depth in sorted({path.count("/") for path in files.tables}):
        for path in files.tables:
            if path.count("/") != depth:
                continue
            try:
                table = read_table(files.root / path, is_image)
            except UsageError as error:
                unused.append(Unused(path, str(error), meant=True))
                continue
            labels = _labels_or_reason(table, files)
            if isinstance(labels, str):
                unused.append(Unused(path, f"{path}: {labels}", _is_meant(table)))
            else:
                found.append(labels)
        if found:
            break
    return LabelTables(tuple(found), tuple(unused))


def read_label_table(files: Files, path: Path) -> LabelTable:
    """Read a label CSV of a data folder.

    Args:
        files: what lies in the folder.
        path: the CSV.

    Raises:
        UsageError: it gives no labels; says why.
    """
    labels = _labels_or_reason(read_table(path, _image_test(files.images)), files)
    if isinstance(labels, str):
        raise UsageError(f"{path.name}: {labels}")
    return labels


def why_unfound(ids: Iterable[str], images: Sequence[str]) -> str | None:
    """Return what is wrong with ids that name no image, as far as an example shows it; None if nothing is seen.

    Args:
        ids: what a CSV calls its images.
        images: paths relative to the data folder, with forward slashes.

    Example:
        >>> why_unfound(["7"], ["images/007.png"])
        'leading zeros are missing: 7 in the CSV, images/007.png in the folder; keep that column as text'
    """
    ids = [name.replace("\\", "/") for name in ids]
    if url := next((name for name in ids if re.match(r"https?://|s3://|gs://", name, re.IGNORECASE)), None):
        return f"they are URLs, such as {url}; write file names instead"
    stems = {PurePosixPath(path).stem.casefold(): path for path in images}
    short = {stem.lstrip("0"): path for stem, path in stems.items() if stem.startswith("0")}
    for name in ids:
        stem = PurePosixPath(name).stem.casefold()
        if (path := stems.get(stem)) is not None:
            return f"the file endings differ: {name} in the CSV, {path} in the folder"
        if stem.isdecimal() and (path := short.get(stem.lstrip("0"))) is not None:
            return f"leading zeros are missing: {name} in the CSV, {path} in the folder; keep that column as text"
    return None


def _labels_or_reason(table: Table, files: Files) -> LabelTable | str:
    """Return the labels that a CSV gives, or the reason why it gives none."""
    column = table.label_column
    if table.is_result:
        return "it holds predictions of mango-grader, not labels"
    if table.is_review:
        return "it holds reviewed labels; pass it with --labels"
    if table.id_column is None or column is None:
        if table.begins_with_comment:
            return f"its first line is a comment ({table.columns[0]}); remove it"
        hint = f"; write the class names {listed(table.one_hot)} into one column label" if table.one_hot else ""
        titles = ", ".join(table.columns) or "none"
        return f"it needs the columns image_id and label; it has: {titles}{hint}"
    if not table.rows:
        return "it has no rows"
    images = find_images(files.images, table.ids)
    if not any(images):
        unlike = f"its ids look like {table.ids[0]}, the image paths like {files.images[0]}"
        why = why_unfound(table.ids, files.images) or unlike
        return f"none of the {len(table.rows)} rows names an image in {files.root}: {why}"
    return LabelTable(table.path, table.columns, table.rows, tuple(images), tuple(row[column] for row in table.rows))


def _is_meant(table: Table) -> bool:
    """Return whether a CSV that cannot be used looks as if it held labels."""
    named = table.id_column is not None and table.label_column is not None
    if table.is_review:
        return False
    titled = table.path.stem.casefold() in {"label", "labels", "classes"}
    return titled or named or table.begins_with_comment or bool(table.one_hot)


def _image_test(images: Iterable[str]) -> Callable[[str], bool]:
    """Return what says whether a value names an image: by its ending, or as the stem of a file that is there."""
    stems = {PurePosixPath(path).stem for path in images}
    return lambda value: PurePosixPath(value).suffix.lower() in IMAGE_SUFFIXES or value in stems
