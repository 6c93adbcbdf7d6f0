"""CSV files with or without a header, and which of their columns names the image and which the label."""

import csv
import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mango_grader.errors import UsageError

__all__ = ["Table", "read_table"]

_IDS = (
    "image_id", "path", "image_path", "filepath", "file_path", "filename", "file_name", "image", "image_name", "img",
    "file", "id", "name",
)  # fmt: skip
_LABELS = ("label", "class", "grade", "category", "target", "class_name", "label_name", "quality")


@dataclass(frozen=True)
class Table:
    """A CSV: `rows` all as long as `columns`. `id_column` and `label_column` are indices or None."""

    path: Path
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    @property
    def id_column(self) -> int | None:
        """The column that names the image: by its title, or the first of two."""
        found = _first(self.columns, _IDS)
        return 0 if found is None and self._untitled else found

    @property
    def label_column(self) -> int | None:
        """The column that holds the class: by its title, or the second of two."""
        found = _first(self.columns, _LABELS)
        return 1 if found is None and self._untitled else found

    @property
    def _untitled(self) -> bool:
        known = _first(self.columns, _IDS), _first(self.columns, _LABELS)
        return len(self.columns) == 2 and known == (None, None)


def read_table(path: Path, is_image: Callable[[str], bool]) -> Table:
    """Read a CSV separated by commas, semicolons or tabs.

    The first row is data, not titles, if `is_image(cell)` says so of one of its cells; the columns are then called
    image_id, label, column3, … Short rows are filled with "", blank rows left out. Raises `UsageError` for a file
    that is not UTF-8 text or no CSV.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        first = text.lstrip("\r\n").split("\n", 1)[0]
        delimiter = max(",;\t", key=first.count)
        rows = [row for row in csv.reader(io.StringIO(text), delimiter=delimiter) if any(map(str.strip, row))]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"cannot read {path.name} as a UTF-8 CSV: {error}") from error
    if not rows:
        return Table(path, (), ())
    if any(is_image(cell.strip()) for cell in rows[0]):
        titles = ["image_id", "label", *(f"column{number}" for number in range(3, len(rows[0]) + 1))]
        titles = titles[: len(rows[0])]
    else:
        titles = [cell.strip() for cell in rows.pop(0)]
    width = len(titles)
    return Table(path, tuple(titles), tuple(tuple((row + [""] * width)[:width]) for row in rows))


def _first(columns: tuple[str, ...], names: tuple[str, ...]) -> int | None:
    folded = [column.casefold().replace(" ", "_") for column in columns]
    return next((folded.index(name) for name in names if name in folded), None)
