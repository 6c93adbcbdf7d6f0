"""A file of JSON lines that can only grow: each line holds the hash of the one before, so that a change shows."""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mango_grader import files
from mango_grader.errors import FormatError

_SEAL = b', "hash": "'


@dataclass(frozen=True)
class Position:
    """A place between two lines of a chain.

    Attributes:
        lines: number of lines before it.
        size: number of bytes before it.
        hash: of the line before it, SHA-256 in hexadecimal; "" at the beginning.
    """

    lines: int = 0
    size: int = 0
    hash: str = ""

    def after(self, line: bytes, seal: str) -> "Position":
        """Return the place behind one more line.

        Args:
            line: with its line break.
            seal: its hash.
        """
        return Position(self.lines + 1, self.size + len(line), seal)


@dataclass(frozen=True)
class Link:
    """One line of a chain, read and found intact.

    Attributes:
        values: that were written.
        end: the place behind it.
    """

    values: Mapping[str, Any]
    end: Position

    @property
    def number(self) -> int:
        """Number of the line, from 1."""
        return self.end.lines


class Chain:
    """A chain that is open for writing; only one process at a time may have it open.

    Args:
        path: of the file; it is made if needed.
        end: the place behind its last whole line; what follows, such as a line that a kill has torn, is cut off.

    Raises:
        FormatError: the file ends before that place.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp(), "chain.jsonl")
        >>> chain = Chain(path)
        >>> chain.append([{"kind": "start"}, {"kind": "end"}])
        >>> [link.values["kind"] for link in links(path)]
        ['start', 'end']
        >>> chain.close()
    """

    def __init__(self, path: Path, end: Position = Position()) -> None:
        self.path, self.end = path, end
        self._file = path.open("ab")
        if self._file.tell() < end.size:
            self._file.close()
            raise FormatError(f"{path}: the end is missing, from line {end.lines} on or before")
        self._file.truncate(end.size)

    def append(self, rows: Sequence[Mapping[str, Any]], *, sync: bool = True) -> None:
        """Add lines in one write; a killed process loses none of them.

        Args:
            rows: of JSON's own types, one a line.
            sync: whether to return only when they are on the disk, so that a power cut loses none either.
        """
        end, lines = self.end, []
        for row in rows:
            body = files.to_json({"line": end.lines + 1, **row, "previous": end.hash})[:-1].encode("ascii")
            seal = files.digest(body)
            line = body + _SEAL + seal.encode("ascii") + b'"}\n'
            lines.append(line)
            end = end.after(line, seal)
        try:
            self._file.write(b"".join(lines))
            self._file.flush()
            if sync:
                os.fsync(self._file.fileno())
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(self.path)) from error
        self.end = end

    def sync(self) -> None:
        """Write everything to the disk."""
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Close the file."""
        with suppress(OSError):  # A full disk was reported when the line was written; it must not hide that error.
            self._file.close()


def links(path: Path, start: Position | None = None) -> Iterator[Link]:
    """Yield the lines of a chain, in constant memory; a torn line at the end, as a kill leaves it, ends it.

    Args:
        path: of the file.
        start: where to begin; None is the beginning.

    Raises:
        FormatError: a line was changed, is missing or repeated; the message names it.
    """
    end = start or Position()
    with path.open("rb") as file:
        file.seek(end.size)
        for line in file:
            if not line.endswith(b"\n"):
                return
            values = _values(path, line, end)
            end = end.after(line, values.pop("hash"))
            yield Link(values, end)


def _values(path: Path, line: bytes, end: Position) -> dict[str, Any]:
    """Return what the line behind `end` holds; raise `FormatError` unless it is the one that was written there."""
    number = end.lines + 1
    body, _, rest = line.rpartition(_SEAL)
    try:
        values = json.loads(line)
        seal = values["hash"]
        intact = files.digest(body) == seal and rest == seal.encode() + b'"}\n'
        found, previous = values.pop("line"), values.pop("previous")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise FormatError(f"{path}: line {number} was changed") from None
    if not intact:
        raise FormatError(f"{path}: line {number} was changed")
    if isinstance(found, int) and found < number:
        raise FormatError(f"{path}: line {number} repeats line {found}")
    if found != number:
        raise FormatError(f"{path}: line {number} is missing: line {found} stands in its place")
    if previous != end.hash:
        raise FormatError(f"{path}: line {number} does not follow line {end.lines}: one of the two was exchanged")
    return dict(values)
