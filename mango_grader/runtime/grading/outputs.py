"""Which files may be overwritten: empty ones and our own, but no labels, models or photos of others."""

import csv
import io
import json
import os
import zipfile
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mango_grader.errors import UsageError
from mango_grader.runtime.inference.records import is_result

PAGE_MARK = '<meta name="generator" content="mango-grader">'
"""In the head of every HTML page that we write."""

_EARLIER_MARKS = ("<p>Within each grade the least confident come first.</p>", "<title>Data inspection: ")
_HEAD = 1 << 16
_FIGURE_KEYS = {"model", "data", "classes", "exits"}
FIGURE_COLUMNS = ("policy", "decide", "images", "groups")
"""First columns of a table of figures."""
_FRUIT_COLUMNS = {"id", "lot", "lane", "status", "grade", "outlet", "exits", "entered_frame", "decided_frame", "error"}
_BUNDLE_KEYS = {"schema", "classes", "preprocess", "exits", "stages"}


@dataclass(frozen=True)
class Kind:
    """A kind of file that we write.

    Attributes:
        verb: how an error message begins that lists the endings, such as "a page is written as".
        endings: of file names, in lower case, with their dots.
        is_ours: returns from a file's content whether we wrote it; may raise OSError or ValueError.
    """

    verb: str
    endings: tuple[str, ...]
    is_ours: Callable[[Path], bool]


def check_replaceable(path: str | os.PathLike[str], kind: Kind) -> None:
    """Raise `UsageError` unless a file of `kind` may be written to `path`.

    The ending must be one of the kind's. A file that exists must be empty, or one of that kind that mango-grader wrote.

    Args:
        path: of the file to write.
        kind: of the file to write.
    """
    path = Path(path)
    if path.suffix.lower() not in kind.endings:
        raise UsageError(f"{path}: {kind.verb} {', '.join(kind.endings)}")
    if path.is_dir():
        raise UsageError(f"{path} is a folder; name a file")
    if not os.path.lexists(path) or (path.is_file() and not path.stat().st_size):
        return
    if not _is_of(kind, path):
        raise UsageError(f"{path} exists, and mango-grader did not write it; choose another name")


def is_own(path: str | os.PathLike[str]) -> bool:
    """Return whether `path` is a file that mango-grader wrote: results, their journal, a page, figures or a model."""
    name = os.fspath(path).lower()
    return any(name.endswith(kind.endings) and _is_of(kind, Path(path)) for kind in _KINDS)


def _is_of(kind: Kind, path: Path) -> bool:
    if path.is_file():  # A FIFO would be waited for.
        with suppress(OSError, ValueError, ImportError, csv.Error):
            return kind.is_ours(path)
    return False


def _is_rows(path: Path) -> bool:
    suffix = path.suffix.lower()
    if suffix == ".parquet":
        import pyarrow.parquet as pq

        return _are_rows(pq.read_schema(path).names)
    head = _head(path)
    if suffix == ".jsonl":
        return _are_rows(_keys(head.split("\n", 1)[0]))
    titles = (next(csv.reader(io.StringIO(head, newline=""), delimiter=one)) for one in ",;")
    return any(map(_are_rows, titles))


def _are_rows(titles: Collection[str]) -> bool:
    # Stricter than for tables of labels: a table that is not ours must never be lost.
    images = is_result(titles) and {"confidence", "exit", "error"}.issubset(titles)
    return images or _FRUIT_COLUMNS.issubset(titles)


def _is_page(path: Path) -> bool:
    head = _head(path)
    return any(mark in head for mark in (PAGE_MARK, *_EARLIER_MARKS))


def _is_journal(path: Path) -> bool:
    return _head(path).startswith('{"kind": "mango-grader journal ')


def _is_figures(path: Path) -> bool:
    if path.suffix.lower() == ".csv":
        return _head(path).startswith(",".join(FIGURE_COLUMNS))
    if path.suffix.lower() in PAGE.endings:
        return _is_page(path)
    return _FIGURE_KEYS.issubset(_keys(path.read_text(encoding="utf-8")))


def _is_bundle(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            return _BUNDLE_KEYS.issubset(_keys(archive.read("manifest.json")))
    except (zipfile.BadZipFile, EOFError, KeyError, NotImplementedError, RuntimeError):
        return False


def _head(path: Path) -> str:
    with path.open("rb") as file:
        return file.read(_HEAD).decode("utf-8-sig", "replace")


def _keys(text: str | bytes) -> set[str]:
    try:
        values: Any = json.loads(text)
    except RecursionError:
        return set()
    return set(values) if isinstance(values, dict) else set()


ROWS = Kind("results are written as", (".csv", ".jsonl", ".parquet"), _is_rows)
PAGE = Kind("a page is written as", (".html", ".htm"), _is_page)
FIGURES = Kind("figures are written as", (".json", ".csv", ".html"), _is_figures)
BUNDLE = Kind("a model is written as", (".mango",), _is_bundle)
_KINDS = (ROWS, PAGE, FIGURES, BUNDLE, Kind("a journal is written as", (".journal",), _is_journal))
