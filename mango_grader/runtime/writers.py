"""Result files: CSV, JSON lines or Parquet with the same columns, written whole or not at all."""

import csv
import itertools
import json
import os
from collections.abc import Callable, Iterable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from mango_grader import files
from mango_grader.errors import MissingExtraError, UsageError
from mango_grader.runtime.records import Record, columns, to_row

_CHUNK = 8192


def check_output(path: str | os.PathLike[str]) -> None:
    """Raise `UsageError` unless results can be written to `path`: its ending is known, its format installed."""
    suffix = Path(path).suffix.lower()
    if suffix not in _WRITERS:
        raise UsageError(f"{path}: results are written as {', '.join(_WRITERS)}")
    if suffix == ".parquet" and find_spec("pyarrow") is None:
        raise MissingExtraError("writing Parquet", "parquet")


def write_records(path: str | os.PathLike[str], classes: Sequence[str], records: Iterable[Record]) -> None:
    """Write one row per record in the format of `path`'s ending, atomically and in constant memory.

    Cells hold file names as they are: an apostrophe against spreadsheet formulas would make them name no file.
    """
    check_output(path)
    with files.replacing(path) as temporary:
        _WRITERS[Path(path).suffix.lower()](temporary, classes, records)


def _csv(path: Path, classes: Sequence[str], records: Iterable[Record]) -> None:
    # RFC 4180: "\r\n" ends a row, and whatever holds a comma, a quote or a line break is quoted.
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, columns(classes))
        table.writeheader()
        table.writerows(to_row(record, classes) for record in records)


def _jsonl(path: Path, classes: Sequence[str], records: Iterable[Record]) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for record in records:
            file.write(json.dumps(to_row(record, classes), ensure_ascii=False) + "\n")


def _parquet(path: Path, classes: Sequence[str], records: Iterable[Record]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    texts: dict[str, Any] = dict.fromkeys(("path", "grade", "error", "warning"), pa.string())
    kinds: dict[str, Any] = {**texts, "exit": pa.int32()}
    schema = pa.schema([(name, kinds.get(name, pa.float64())) for name in columns(classes)])
    rows = (to_row(record, classes) for record in records)
    with pq.ParquetWriter(path, schema) as writer:
        while chunk := list(itertools.islice(rows, _CHUNK)):
            writer.write_table(pa.Table.from_pylist(chunk, schema))


_WRITERS: dict[str, Callable[[Path, Sequence[str], Iterable[Record]], None]] = {
    ".csv": _csv,
    ".jsonl": _jsonl,
    ".parquet": _parquet,
}
