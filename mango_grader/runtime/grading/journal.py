"""The journal of a grading job: one JSON line per image as it comes, which a killed process leaves readable."""

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Self

from mango_grader import files
from mango_grader.errors import UsageError
from mango_grader.runtime.grading.items import ImageItem, Source, real_path
from mango_grader.runtime.inference.records import Record

_KIND = "mango-grader journal 3"
_EARLIER = ("mango-grader journal 1", "mango-grader journal 2")  # without ids; version 1 also without sources


@dataclass(frozen=True)
class Entry:
    """One row.

    Attributes:
        id: of the item that was graded.
        record: the result.
        source: the file that the image was read from, as it was before that; None for an image without a file.
    """

    id: str
    record: Record
    source: Source | None = None


@dataclass(frozen=True)
class _Row:
    """The offset of a row in the file, and those of its values that are needed without reading it."""

    offset: int
    path: str
    graded: bool
    source: Source | None


class Journal:
    """An append-only file of records; each line is handed to the operating system before the next image is read.

    An item has one row, which is found by the id; the row of a file also by its path as the row spells it, so that a
    folder may move with its journal. Only one process at a time may have a journal open.

    Args:
        path: file of the journal.
        header: what all rows have in common, such as the model and the exit policy; the first line of the file.
        finished: whether `finish` was called after the last row.
    """

    def __init__(self, path: Path, header: Mapping[str, Any], finished: bool = False) -> None:
        self.path, self.header, self.finished = path, header, finished
        self._rows: dict[str, _Row] = {}  # by id
        self._ids: dict[str, str] = {}  # of rows of files: path → id
        self._file = path.open("ab")

    @classmethod
    def create(cls, path: str | os.PathLike[str], header: Mapping[str, Any]) -> Self:
        """Start an empty journal at `path`, in place of what may be there."""
        path = Path(path)
        files.write_bytes(path, _line({"kind": _KIND, **header}))
        return cls(path, header)

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Self:
        """Continue the journal at `path`.

        Whatever follows the last whole line (a torn write) is cut off; those images are graded again.

        Raises:
            UsageError: if the file is not a journal, or one of a later version.
        """
        path = Path(path)
        with path.open("rb") as file:
            first = file.readline()
            header = _parse(first) or {}
            kind = header.pop("kind", None)
            if kind not in (_KIND, *_EARLIER):
                raise UsageError(f"{path} is not a journal that this version can continue")
            journal = cls(path, header)
            sound = len(first)
            for line in file:
                values = _parse(line)
                if values is None:
                    break
                journal.finished = "finished" in values
                if not journal.finished:
                    journal._index(_entry(values), sound)
                sound += len(line)
        journal._file.truncate(sound)
        journal._file.seek(0, os.SEEK_END)
        if kind in _EARLIER:
            journal._rewrite()
        return journal

    def __len__(self) -> int:
        return len(self._rows)

    def __contains__(self, item: ImageItem) -> bool:
        return self._known(item.id, item.file) is not None

    def pending(self, items: Iterable[ImageItem]) -> list[ImageItem]:
        """Return those of `items` that must be graded.

        These are new items, items without a grade, and items whose file has another size or time than when it was
        graded, or of which that is unknown.
        """
        return [item for item in items if not self._current(item)] if self._rows else list(items)

    def forget(self, items: Iterable[ImageItem]) -> None:
        """Take out the rows of these items, all in one write."""
        known = {row for item in items if (row := self._known(item.id, item.file)) is not None}
        if known:
            self._rows = {key: row for key, row in self._rows.items() if key not in known}
            self._rewrite()

    def append(self, entry: Entry) -> None:
        """Add a row, which replaces an earlier one of the same item; a killed process does not lose it."""
        self._index(entry, self._file.tell())
        self._write(_values(entry))
        self.finished = False

    def finish(self) -> None:
        """Mark that every image has its row, and write all of it to the disk."""
        self._write({"finished": len(self)})
        os.fsync(self._file.fileno())
        self.finished = True

    def entries(self) -> Iterator[Entry]:
        """Yield the rows in the order of their paths, one at a time from the disk."""
        with self.path.open("rb") as file:
            for _, row in sorted(self._rows.items(), key=lambda item: (item[1].path, item[0])):
                file.seek(row.offset)
                yield _entry(json.loads(file.readline()))

    def records(self) -> Iterator[Record]:
        """Yield the records in the order of their paths, one at a time from the disk."""
        return (entry.record for entry in self.entries())

    def close(self) -> None:
        """Close the file; the rows stay."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _known(self, key: str, file: str | None) -> str | None:
        """Return the id of the row of an item with the id `key` and the path `file`; None if it has no row."""
        if key in self._rows or file is None:
            return key if key in self._rows else None
        return self._ids.get(file)

    def _current(self, item: ImageItem) -> bool:
        known = self._known(item.id, item.file)
        row = None if known is None else self._rows[known]
        if row is None or not row.graded or item.file is None:
            return row is not None and row.graded
        return row.source is not None and row.source.same_content(Source.of(item.file))

    def _index(self, entry: Entry, offset: int) -> None:
        path, is_file = entry.record.path, entry.source is not None
        earlier = {entry.id, self._ids.get(path, entry.id) if is_file else entry.id}
        for key in earlier & self._rows.keys():
            self._ids.pop(self._rows.pop(key).path, None)
        self._rows[entry.id] = _Row(offset, path, entry.record.grade is not None, entry.source)
        if is_file:
            self._ids[path] = entry.id

    def _rewrite(self) -> None:
        """Write the journal again, whole, with the rows that it has now."""
        self._file.close()  # Windows cannot replace an open file.
        rows: dict[str, _Row] = {}
        with files.replacing(self.path) as temporary, temporary.open("wb") as new:
            new.write(_line({"kind": _KIND, **self.header}))
            with self.path.open("rb") as old:
                for key, row in sorted(self._rows.items(), key=lambda item: item[1].offset):
                    old.seek(row.offset)
                    rows[key] = replace(row, offset=new.tell())
                    new.write(old.readline())
        self._rows, self.finished = rows, False
        self._ids = {row.path: key for key, row in rows.items() if row.source is not None}
        self._file = self.path.open("ab")

    def _write(self, values: Mapping[str, Any]) -> None:
        self._file.write(_line(values))
        self._file.flush()


def _line(values: Mapping[str, Any]) -> bytes:
    return (files.to_json(values) + "\n").encode("ascii")


def _values(entry: Entry) -> dict[str, Any]:
    source = None if entry.source is None else asdict(entry.source)
    return {"id": entry.id, **entry.record.to_dict(), "source": source}


def _entry(values: dict[str, Any]) -> Entry:
    """Rebuild from `_values`, of earlier versions too; raise `KeyError` or `TypeError` for anything else."""
    path = values["path"]
    source = None
    if "source" not in values:
        source = Source(real_path(path), None, None)
    elif (found := values.pop("source")) is not None:
        source = Source(**found)
    key = values.pop("id", path if source is None else source.file)
    return Entry(key, Record.from_dict(values), source)


def _parse(line: bytes) -> dict[str, Any] | None:
    """Return a whole line's values; None if it is torn or damaged."""
    if line.endswith(b"\n"):
        with suppress(ValueError, KeyError, TypeError):
            values: Any = json.loads(line)
            if not isinstance(values, dict):
                return None
            if "kind" not in values and "finished" not in values:
                _entry(dict(values))
            return values
    return None
