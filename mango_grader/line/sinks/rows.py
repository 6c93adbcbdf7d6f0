"""A file to which one row per decision is added as decisions come."""

import errno
import os
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol

from mango_grader import files
from mango_grader.errors import SinkError, UsageError
from mango_grader.line.decision import Decision, to_row
from mango_grader.line.sinks.base import RunInfo
from mango_grader.line.sinks.cursor import Cursor, Mark
from mango_grader.text import one_line


class RowFormat(Protocol):
    """How rows are written; each row is one line, for what a kill leaves is cut off at the last line break."""

    def header(self, classes: Sequence[str]) -> bytes:
        """Return what stands at the beginning of the file, b"" for nothing.

        Args:
            classes: of the model, in its order.
        """

    def line(self, row: dict[str, Any]) -> bytes:
        """Return a row with its line break.

        Args:
            row: values by the column's name, without line breaks in texts.
        """

    def id(self, line: bytes) -> str:
        """Return the id of the decision in a line; "" if it holds none."""


class RowFile:
    """Adds one row per decision to a file, which several runs may share, one after the other.

    Each row arrives exactly once: rows are synced before the cursor moves, and after a kill between the two the rows
    behind the cursor are found by their ids. Only if the file was moved away in just that moment do they come again in
    the new file: at least once, with the same ids. A file that is moved away while the line runs is begun anew.

    Args:
        name: of the sink.
        path: of the file; it and its folder are made if needed.
        form: how rows are written.
    """

    actuator = False
    missed = 0

    def __init__(self, name: str, path: str, form: RowFormat) -> None:
        self.name = name
        self._path, self._form = Path(path), form
        self._open = ExitStack()
        self._mark, self._known = Mark(), frozenset[str]()

    def open(self, run: RunInfo) -> None:
        """Open the file, cut off a torn last line, and find rows that were written behind the cursor."""
        self._run, self._classes, self._cursor = run.run, run.classes, Cursor(run)
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            lock = self._path.with_name(f".{self._path.name}.lock")
            self._open.enter_context(files.locked(lock, f"another process writes {self._path}"))
            self._file = self._open.enter_context(self._path.open("ab", buffering=0))
            files.cut_torn_line(self._path)
            self._begin()
        except (OSError, UsageError) as error:
            self.close()
            raise SinkError(_told(error, self._path)) from error
        except SinkError:
            self.close()
            raise

    def deliver(self, decisions: Sequence[Decision]) -> None:
        """Add rows, and return when they are on the disk."""
        new = [decision for decision in decisions if decision.id not in self._known]
        try:
            if not os.path.samestat(self._path.stat(), os.fstat(self._file.fileno())):
                raise FileNotFoundError(errno.ENOENT, "was moved away, and is begun anew")
            self._write(b"".join(self._form.line(_safe(to_row(each, self._classes))) for each in new))
            self._moved(decisions[-1].sequence)
        except OSError as error:
            raise SinkError(_told(error, self._path)) from error

    def position(self) -> int:
        """Return the sequence number of the last decision that is in the file."""
        return self._mark.sequence

    def close(self) -> None:
        """Close the file."""
        self._open.close()

    def _begin(self) -> None:
        header = self._form.header(self._classes)
        size = self._path.stat().st_size
        if not size:
            self._write(header)
        elif header:
            with self._path.open("rb") as file:
                if file.read(len(header)) != header:
                    raise SinkError(f"{self._path} has other columns; name another file, or move this one away")
        self._mark = self._cursor.read() or Mark()
        self._known = self._ids(self._mark.size if self._mark.size <= size else 0)

    def _ids(self, start: int) -> frozenset[str]:
        """Return the ids of this run in rows that the cursor does not know of."""
        with self._path.open("rb") as file:
            file.seek(start)
            return frozenset(found for line in file if (found := self._form.id(line)).startswith(self._run))

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[self._file.write(view) :]
        os.fsync(self._file.fileno())

    def _moved(self, sequence: int) -> None:
        mark = Mark(sequence, self._path.stat().st_size)
        self._cursor.write(mark)
        self._mark = mark


def _safe(row: dict[str, Any]) -> dict[str, Any]:
    return {name: one_line(value) if isinstance(value, str) else value for name, value in row.items()}


def _told(error: Exception, path: Path) -> str:
    return f"{path}: {str(error.strerror).lower()}" if isinstance(error, OSError) else str(error)
