"""CSV files with or without a header, and which of their columns names the image and which the label."""

import csv
import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mango_grader.errors import UsageError
from mango_grader.runtime.inference.records import is_result

__all__ = ["IDS", "LABELS", "Table", "read_table"]

IDS = (
    "image_id", "path", "image_path", "filepath", "file_path", "filename", "file_name", "image", "image_name", "img",
    "file", "id", "name",
)  # fmt: skip
LABELS = ("label", "class", "grade", "category", "target", "class_name", "label_name", "quality")


@dataclass(frozen=True)
class Table:
    """A CSV: `rows` all as long as `columns`, cells without blanks around them. `id_column` and `label_column` are
    indices or None."""

    path: Path
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    @property
    def id_column(self) -> int | None:
        """The column that names the image: by its title, or the first of two."""
        found = _first(self.columns, IDS)
        return 0 if found is None and self._untitled else found

    @property
    def label_column(self) -> int | None:
        """The column that holds the class: by its title, or the second of two."""
        found = _first(self.columns, LABELS)
        return 1 if found is None and self._untitled else found

    @property
    def ids(self) -> list[str]:
        """The cells that name images, row by row; none without such a column."""
        return [] if self.id_column is None else [row[self.id_column] for row in self.rows]

    @property
    def is_result(self) -> bool:
        """Whether these are answers that mango-grader wrote, no labels."""
        return is_result(self.columns)

    @property
    def begins_with_comment(self) -> bool:
        """Whether the first line is a remark, so that nobody knows the titles."""
        known = (*IDS, *LABELS)
        return bool(self.columns) and self.columns[0].startswith("#") and _first(self.columns, known) is None

    @property
    def _untitled(self) -> bool:
        known = _first(self.columns, IDS), _first(self.columns, LABELS)
        return len(self.columns) == 2 and known == (None, None) and not self.begins_with_comment


def read_table(path: Path, is_image: Callable[[str], bool]) -> Table:
    """Read a CSV separated by commas, semicolons or tabs; blanks around cells, and quotes behind blanks, go.

    The first row is data, not titles, if `is_image(cell)` says so of one of its cells; the columns are then called
    image_id, label, column3, … Short rows are filled with "", blank rows left out. Raises `UsageError` for a file
    that is not UTF-8 text or no CSV.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        first = text.lstrip("\r\n").split("\n", 1)[0]
        delimiter = max(",;\t", key=first.count)
        reader = csv.reader(io.StringIO(text), delimiter=delimiter, skipinitialspace=True)
        rows = [row for row in ([_stripped(cell) for cell in cells] for cells in reader) if any(row)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"cannot read {path.name} as a UTF-8 CSV: {error}") from error
    if not rows:
        return Table(path, (), ())
    if any(is_image(cell) for cell in rows[0]):
        titles = ["image_id", "label", *(f"column{number}" for number in range(3, len(rows[0]) + 1))]
        titles = titles[: len(rows[0])]
    else:
        titles = rows.pop(0)
    width = len(titles)
    return Table(path, tuple(titles), tuple(tuple((row + [""] * width)[:width]) for row in rows))


def _stripped(cell: str) -> str:
    # Spreadsheets and web pages leave marks that nobody sees: byte order marks and zero-width blanks.
    return cell.strip().strip("\ufeff\u200b").strip()


def _first(columns: tuple[str, ...], names: tuple[str, ...]) -> int | None:
    folded = [column.casefold().replace(" ", "_") for column in columns]
    return next((folded.index(name) for name in names if name in folded), None)
