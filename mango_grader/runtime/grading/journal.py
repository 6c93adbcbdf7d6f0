"""The journal of a grading run: one JSON line per image as it comes, which a killed process leaves readable."""

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Self

from mango_grader import files
from mango_grader.errors import UsageError
from mango_grader.runtime.grading.sources import Source, real_path
from mango_grader.runtime.inference.records import Record

_KIND = "mango-grader journal 2"
_EARLIER = "mango-grader journal 1"  # without sources


@dataclass(frozen=True)
class Entry:
    """One row: a record, and the file that it was graded from; None for standard input and in earlier versions."""

    record: Record
    source: Source | None


@dataclass(frozen=True)
class _Row:
    offset: int
    file: str
    graded: bool
    source: Source | None


class Journal:
    """An append-only file of records; a line is on its way to the disk before the next image is looked at.

    The first line says what the rows belong to. A file has one row, whichever way it is spelled. `finished` is True
    once `finish` was called with nothing after it. One process at a time may have it open.
    """

    def __init__(self, path: Path, header: Mapping[str, Any], finished: bool = False) -> None:
        self.path, self.header, self.finished = path, header, finished
        self._rows: dict[str, _Row] = {}
        self._paths: dict[str, str] = {}  # real path → path of the row
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

        Whatever follows the last whole line (a torn write) is cut off; those images are simply not done yet.
        Raises `UsageError` if the file is no journal.
        """
        path = Path(path)
        with path.open("rb") as file:
            first = file.readline()
            header = _parse(first) or {}
            kind = header.pop("kind", None)
            if kind not in (_KIND, _EARLIER):
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
        if kind == _EARLIER:
            journal._rewrite()
        return journal

    def __len__(self) -> int:
        return len(self._rows)

    def __contains__(self, path: str) -> bool:
        return self._known(path, real_path(path)) is not None

    def pending(self, paths: Iterable[str]) -> list[str]:
        """Return those of `paths` that are to be graded.

        These are new ones, those that got no grade, and those whose file has another size or time than when it was
        graded, or of which that is unknown.
        """
        return [path for path in paths if not self._current(path)] if self._rows else list(paths)

    def forget(self, paths: Iterable[str]) -> None:
        """Take out the rows of these files, all in one write."""
        known = {row for path in paths if (row := self._known(path, real_path(path))) is not None}
        if known:
            self._rows = {path: row for path, row in self._rows.items() if path not in known}
            self._rewrite()

    def append(self, record: Record, source: Source | None = None) -> None:
        """Add one row and hand it to the operating system, so that a killed process does not lose it.

        `source` is the file as it was before it was read.
        """
        entry = Entry(record, source)
        self._index(entry, self._file.tell())
        self._write(_values(entry))
        self.finished = False

    def finish(self) -> None:
        """Mark that every image has its row, and put all of it on the disk."""
        self._write({"finished": len(self)})
        os.fsync(self._file.fileno())
        self.finished = True

    def entries(self) -> Iterator[Entry]:
        """Yield the rows in the order of their paths, one at a time from the disk."""
        with self.path.open("rb") as file:
            for _, row in sorted(self._rows.items()):
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

    def _known(self, path: str, file: str) -> str | None:
        """Return how the row of `file` spells its path, here `path`; None if it has no row."""
        return self._paths.get(file, path if path in self._rows else None)

    def _current(self, path: str) -> bool:
        now = Source.of(path)
        known = self._known(path, now.file)
        row = None if known is None else self._rows[known]
        return row is not None and row.graded and row.source is not None and row.source.same_content(now)

    def _index(self, entry: Entry, offset: int) -> None:
        path, source = entry.record.path, entry.source
        file = source.file if source else real_path(path)
        for known in {path, self._paths.get(file, path)} & self._rows.keys():
            self._paths.pop(self._rows.pop(known).file, None)
        self._rows[path] = _Row(offset, file, entry.record.grade is not None, source)
        self._paths[file] = path

    def _rewrite(self) -> None:
        """Write the journal again, whole, with the rows that it has now."""
        self._file.close()  # Windows replaces no open file.
        rows: dict[str, _Row] = {}
        with files.replacing(self.path) as temporary, temporary.open("wb") as new:
            new.write(_line({"kind": _KIND, **self.header}))
            with self.path.open("rb") as old:
                for path, row in sorted(self._rows.items(), key=lambda item: item[1].offset):
                    old.seek(row.offset)
                    rows[path] = replace(row, offset=new.tell())
                    new.write(old.readline())
        self._rows, self.finished = rows, False
        self._paths = {row.file: path for path, row in rows.items()}
        self._file = self.path.open("ab")

    def _write(self, values: Mapping[str, Any]) -> None:
        self._file.write(_line(values))
        self._file.flush()


def _line(values: Mapping[str, Any]) -> bytes:
    return (files.to_json(values) + "\n").encode("ascii")


def _values(entry: Entry) -> dict[str, Any]:
    return {**entry.record.to_dict(), "source": None if entry.source is None else asdict(entry.source)}


def _entry(values: dict[str, Any]) -> Entry:
    """Rebuild from `_values`, of earlier versions too; raise `KeyError` or `TypeError` for anything else."""
    source = values.pop("source", None)
    return Entry(Record.from_dict(values), None if source is None else Source(**source))


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
