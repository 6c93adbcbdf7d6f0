"""The sink `csv`: a CSV file that grows as decisions come."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mango_grader.line.decision import column_kinds
from mango_grader.line.sinks.base import SinkSettings
from mango_grader.line.sinks.rows import RowFile
from mango_grader.runtime.grading.writers import PLAIN


@dataclass(frozen=True)
class CsvSettings(SinkSettings):
    """Rows are added to a CSV file, each once, see `RowFile`; a file with other columns is left alone.

    Attributes:
        path: of the file.
        name: of the sink.

    Example:
        >>> sink = CsvSettings("fruit.csv", name="table").build()
        >>> sink.name
        'table'
    """

    path: str
    name: str = "csv"

    def build(self) -> RowFile:
        """Return the sink, not yet opened."""
        return RowFile(self.name, self.path, CsvLines())


class CsvLines:
    """Rows as CSV, as in the other CSV files of the program."""

    def header(self, classes: Sequence[str]) -> bytes:
        """Return the names of the columns."""
        return _line(column_kinds(classes))

    def line(self, row: dict[str, Any]) -> bytes:
        """Return a row with its line break."""
        return _line([PLAIN.field(value) for value in row.values()])

    def id(self, line: bytes) -> str:
        """Return the id of the decision in a line; "" if it holds none."""
        return next(iter(next(csv.reader([line.decode(errors="replace")]), [])), "")


def _line(fields: Sequence[Any] | dict[str, type]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text).writerow(fields)
    return text.getvalue().encode()
