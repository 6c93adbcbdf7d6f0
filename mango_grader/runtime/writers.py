"""Result files: CSV, JSON lines or Parquet with the same columns, written whole or not at all."""

import csv
import itertools
import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from mango_grader import files
from mango_grader.errors import MissingExtraError, UsageError
from mango_grader.runtime.records import Record, columns, to_row

Row = Mapping[str, Any]

_CHUNK = 8192
_KINDS: dict[str, type] = {"path": str, "grade": str, "exit": int, "error": str, "warning": str}


def check_output(path: str | os.PathLike[str]) -> None:
    """Raise `UsageError` unless results can be written to `path`: its ending is known, its format installed."""
    suffix = Path(path).suffix.lower()
    if suffix not in _WRITERS:
        raise UsageError(f"{path}: results are written as {', '.join(_WRITERS)}")
    if suffix == ".parquet" and find_spec("pyarrow") is None:
        raise MissingExtraError("writing Parquet", "parquet")


def write_records(path: str | os.PathLike[str], classes: Sequence[str], records: Iterable[Record]) -> None:
    """Write one row per record in the format of `path`'s ending, atomically and in constant memory."""
    kinds: dict[str, type] = {name: _KINDS.get(name, float) for name in columns(classes)}
    write_rows(path, kinds, (to_row(record, classes) for record in records))


def write_rows(path: str | os.PathLike[str], kinds: Mapping[str, type], rows: Iterable[Row]) -> None:
    """Write `rows` in the format of `path`'s ending, atomically and in constant memory.

    `kinds` maps each column's name to the type of its values, str, int, float or bool; any value may be None.
    Cells hold file names as they are: an apostrophe against spreadsheet formulas would make them name no file.
    """
    check_output(path)
    with files.replacing(path) as temporary:
        _WRITERS[Path(path).suffix.lower()](temporary, kinds, rows)


def _csv(path: Path, kinds: Mapping[str, type], rows: Iterable[Row]) -> None:
    # RFC 4180: "\r\n" ends a row, and whatever holds a comma, a quote or a line break is quoted.
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, kinds)
        table.writeheader()
        table.writerows({name: _written(value) for name, value in row.items()} for row in rows)


def _written(value: Any) -> Any:
    """Return a CSV cell's value: truth as JSON writes it."""
    return str(value).lower() if isinstance(value, bool) else value


def _jsonl(path: Path, _kinds: Mapping[str, type], rows: Iterable[Row]) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")


def _parquet(path: Path, kinds: Mapping[str, type], rows: Iterable[Row]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    known = {str: pa.string(), int: pa.int32(), float: pa.float64(), bool: pa.bool_()}
    schema = pa.schema([(name, known[kind]) for name, kind in kinds.items()])
    left = iter(rows)
    with pq.ParquetWriter(path, schema) as writer:
        while chunk := list(itertools.islice(left, _CHUNK)):
            writer.write_table(pa.Table.from_pylist(chunk, schema))


_WRITERS: dict[str, Callable[[Path, Mapping[str, type], Iterable[Row]], None]] = {
    ".csv": _csv,
    ".jsonl": _jsonl,
    ".parquet": _parquet,
}
