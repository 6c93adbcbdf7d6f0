"""Result files: CSV, JSON lines or Parquet with the same columns, written whole or not at all."""

import csv
import itertools
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from mango_grader import files
from mango_grader.errors import MissingExtraError
from mango_grader.runtime.grading.outputs import ROWS, check_replaceable
from mango_grader.runtime.inference.records import Record, columns, to_row

Row = Mapping[str, Any]

_CHUNK = 8192
_KINDS: dict[str, type] = {"path": str, "grade": str, "exit": int, "error": str, "review": bool, "warning": str}
_KINDS |= {"set": str, "late": bool}


@dataclass(frozen=True)
class Dialect:
    """How a CSV file is written.

    Attributes:
        encoding: of the file, by its name in Python.
        delimiter: the character between two fields.
        decimal: the decimal point of fractions.
        formulas: first characters of texts that a spreadsheet would compute.
    """

    encoding: str = "utf-8"
    delimiter: str = ","
    decimal: str = "."
    formulas: str = ""

    def field(self, value: Any) -> Any:
        """Return the field that is written for `value`.

        Booleans are true and false as in JSON, fractions have this dialect's decimal point, and a text that begins with
        one of `formulas` gets an apostrophe before it, so that a spreadsheet shows it instead of computing it.
        """
        if isinstance(value, bool):
            return str(value).lower()
        if isinstance(value, float):
            return str(value).replace(".", self.decimal)
        return f"'{value}" if isinstance(value, str) and value[:1] in tuple(self.formulas) else value


PLAIN = Dialect()
EXCEL = Dialect("utf-8-sig", ";", ",", "=+-@\t\r")
"""For Excel where the decimal point is a comma: opened by a double click, and UTF-8 only with a byte order mark."""


def check_output(path: str | os.PathLike[str]) -> None:
    """Raise `UsageError` unless results can be written to `path`.

    The ending must be known, its format installed, and a file that exists one of our result files.
    """
    if Path(path).suffix.lower() == ".parquet" and find_spec("pyarrow") is None:
        raise MissingExtraError("writing Parquet", "parquet")
    check_replaceable(path, ROWS)


def write_records(
    path: str | os.PathLike[str],
    classes: Sequence[str],
    records: Iterable[Record],
    review_below: float | None = None,
    dialect: Dialect = PLAIN,
) -> None:
    """Write one row per record, atomically and in constant memory.

    Args:
        path: of the file; its ending, .csv, .jsonl or .parquet, chooses the format.
        classes: of the model, in its order.
        records: in the order of the rows.
        review_below: confidence, 0..1; less sure grades have `review` true. None leaves `review` empty.
        dialect: of a CSV file.
    """
    kinds: dict[str, type] = {name: _KINDS.get(name, float) for name in columns(classes)}
    write_rows(path, kinds, (to_row(record, classes, review_below) for record in records), dialect)


def write_rows(
    path: str | os.PathLike[str], kinds: Mapping[str, type], rows: Iterable[Row], dialect: Dialect = PLAIN
) -> None:
    """Write `rows`, atomically and in constant memory.

    Except for Excel, fields hold file names as they are: with an apostrophe against formulas they would name no file.

    Args:
        path: of the file; its ending, .csv, .jsonl or .parquet, chooses the format.
        kinds: type of each column's values, str, int, float or bool, by the column's name; any value may be None.
        rows: values by the column's name.
        dialect: of a CSV file.

    Raises:
        UsageError: if results may not be written to `path`.
    """
    check_output(path)
    suffix = Path(path).suffix.lower()
    with files.replacing(path) as temporary:
        if suffix == ".csv":
            _csv(temporary, kinds, rows, dialect)
        elif suffix == ".jsonl":
            _jsonl(temporary, rows)
        else:
            _parquet(temporary, kinds, rows)


def _csv(path: Path, kinds: Mapping[str, type], rows: Iterable[Row], dialect: Dialect) -> None:
    # RFC 4180: "\r\n" ends a row, and whatever holds a comma, a quote or a line break is quoted.
    with path.open("w", encoding=dialect.encoding, newline="") as file:
        table = csv.DictWriter(file, kinds, delimiter=dialect.delimiter)
        table.writeheader()
        table.writerows({name: dialect.field(value) for name, value in row.items()} for row in rows)


def _jsonl(path: Path, rows: Iterable[Row]) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for row in rows:
            file.write(files.to_json(row, ensure_ascii=False) + "\n")


def _parquet(path: Path, kinds: Mapping[str, type], rows: Iterable[Row]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    known = {str: pa.string(), int: pa.int32(), float: pa.float64(), bool: pa.bool_()}
    schema = pa.schema([(name, known[kind]) for name, kind in kinds.items()])
    left = iter(rows)
    with pq.ParquetWriter(path, schema) as writer:
        while chunk := list(itertools.islice(left, _CHUNK)):
            writer.write_table(pa.Table.from_pylist(chunk, schema))
