"""The journal of a grading job: one JSON line per image as it comes, which a killed process leaves readable."""

import itertools
import json
import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class _Row:
    """The offset of a row in the file, and those of its values that are needed without reading it."""

    offset: int
    path: str
    graded: bool
    source: Source | None


class _Index:
    """The rows of a journal by the ids of their items, and those of files also by their paths as rows spell them."""

    def __init__(self) -> None:
        self.rows: dict[str, _Row] = {}
        self._ids: dict[str, str] = {}

    def add(self, entry: Entry, offset: int) -> None:
        """Add a row, in place of earlier ones of the same item."""
        path, is_file = entry.record.path, entry.source is not None
        earlier = {entry.id, self._ids.get(path, entry.id) if is_file else entry.id}
        for key in earlier & self.rows.keys():
            if self._ids.get(old := self.rows.pop(key).path) == key:  # and not another item's of the same path
                del self._ids[old]
        self.rows[entry.id] = _Row(offset, path, entry.record.grade is not None, entry.source)
        if is_file:
            self._ids[path] = entry.id

    def find(self, item: ImageItem) -> str | None:
        """Return the id of the row of an item; None if it has no row."""
        if item.id in self.rows or item.file is None:
            return item.id if item.id in self.rows else None
        return self._ids.get(item.file)

    def is_current(self, item: ImageItem) -> bool:
        """Return whether an item has a grade, and its file is as it was when it got it."""
        known = self.find(item)
        row = None if known is None else self.rows[known]
        if row is None or not row.graded or item.file is None:
            return row is not None and row.graded
        return row.source is not None and row.source.same_content(Source.of(item.file))


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
        self._count = 0
        # While paths and ids only ever rise, as they do in a job that nothing interrupted, the rows need no index: it
        # would take most of the memory of a large job.
        self._in_order, self._last = True, ("", "")
        self._index: _Index | None = None
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
                    journal._note(_entry(values), sound)
                sound += len(line)
        journal._file.truncate(sound)
        journal._file.seek(0, os.SEEK_END)
        if kind in _EARLIER:
            journal._rewrite(journal._indexed().rows)
        return journal

    def __len__(self) -> int:
        return self._count if self._in_order else len(self._indexed().rows)

    def __contains__(self, item: ImageItem) -> bool:
        return len(self) > 0 and self._indexed().find(item) is not None

    def pending(self, items: Collection[ImageItem]) -> Collection[ImageItem]:
        """Return those of `items` that must be graded.

        These are new items, items without a grade, and items whose file has another size or time than when it was
        graded, or of which that is unknown.
        """
        return [item for item in items if not self._indexed().is_current(item)] if len(self) else items

    def forget(self, items: Iterable[ImageItem]) -> int:
        """Take out the rows of these items, all in one write; return how many there were."""
        if not len(self):
            return 0
        index = self._indexed()
        known = {row for item in items if (row := index.find(item)) is not None}
        if known:
            self._rewrite({key: row for key, row in index.rows.items() if key not in known})
        if self._in_order:
            self._index = None
        return len(known)

    def append(self, entry: Entry) -> None:
        """Add a row, which replaces an earlier one of the same item; a killed process does not lose it."""
        self._note(entry, self._file.tell())
        self._write(_values(entry))
        self.finished = False

    def finish(self) -> None:
        """Mark that every image has its row, and write all of it to the disk."""
        self._write({"finished": len(self)})
        os.fsync(self._file.fileno())
        self.finished = True

    def entries(self) -> Iterator[Entry]:
        """Yield the rows in the order of their paths, one at a time from the disk."""
        if self._in_order:
            yield from (entry for entry, _ in self._read())
            return
        with self.path.open("rb") as file:
            for _, row in sorted(self._indexed().rows.items(), key=lambda item: (item[1].path, item[0])):
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

    def _note(self, entry: Entry, offset: int) -> None:
        """Take notice of a row that is, or will be, at the end of the file."""
        last, self._last = self._last, (entry.record.path, entry.id)
        rises = not self._count or (last[0] < self._last[0] and last[1] < self._last[1])
        if self._in_order and not rises:
            self._indexed()  # of the rows before this one, while they are all that there is
            self._in_order = False
        if self._index is not None:
            self._index.add(entry, offset)
        self._count += 1

    def _indexed(self) -> _Index:
        """Return the index of the rows, made now if there is none."""
        if self._index is None:
            self._index = _Index()
            for entry, offset in itertools.islice(self._read(), self._count):
                self._index.add(entry, offset)
        return self._index

    def _read(self) -> Iterator[tuple[Entry, int]]:
        """Yield all rows of the file, with their offsets."""
        with self.path.open("rb") as file:
            offset = len(file.readline())
            for line in file:
                values: dict[str, Any] = json.loads(line)
                if "finished" not in values:
                    yield _entry(values), offset
                offset += len(line)

    def _rewrite(self, rows: Mapping[str, _Row]) -> None:
        """Write the journal again, whole, with no rows but these."""
        self._file.close()  # Windows cannot replace an open file.
        kept = sorted(rows.values(), key=lambda row: row.offset)
        with files.replacing(self.path) as temporary, temporary.open("wb") as new:
            new.write(_line({"kind": _KIND, **self.header}))
            with self.path.open("rb") as old:
                for row in kept:
                    old.seek(row.offset)
                    new.write(old.readline())
        self._file = self.path.open("ab")
        self._count, self._in_order, self._index, self.finished = 0, True, None, False
        for entry, offset in self._read():
            self._note(entry, offset)

    def _write(self, values: Mapping[str, Any]) -> None:
        self._file.write(_line(values))
        self._file.flush()


def _line(values: Mapping[str, Any]) -> bytes:
    return (files.to_json(values) + "\n").encode("ascii")


def _values(entry: Entry) -> dict[str, Any]:
    source = None if entry.source is None else entry.source.to_dict()
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
