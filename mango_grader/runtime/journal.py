"""The journal of a grading run: one JSON line per image as it comes, which a killed process leaves readable."""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from mango_grader import files
from mango_grader.errors import UsageError
from mango_grader.runtime.records import Record

_KIND = "mango-grader journal 1"


class Journal:
    """An append-only file of records; a line is on its way to the disk before the next image is looked at.

    The first line says what the rows belong to. `finished` is True once `finish` was called with nothing after it.
    """

    def __init__(self, path: Path, header: Mapping[str, Any], offsets: dict[str, int], finished: bool) -> None:
        self.path, self.header, self.finished = path, header, finished
        self._offsets = offsets
        self._file = path.open("ab")

    @classmethod
    def create(cls, path: str | os.PathLike[str], header: Mapping[str, Any]) -> Self:
        """Start an empty journal at `path`, in place of what may be there."""
        path = Path(path)
        files.write_bytes(path, _line({"kind": _KIND, **header}))
        return cls(path, header, {}, finished=False)

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Self:
        """Continue the journal at `path`.

        Whatever follows the last whole line (a torn write) is cut off; those images are simply not done yet.
        Raises `UsageError` if the file is no journal.
        """
        path = Path(path)
        offsets: dict[str, int] = {}
        header: Mapping[str, Any] | None = None
        finished, sound = False, 0
        with path.open("rb") as file:
            for line in file:
                values = _parse(line)
                if header is None:
                    if values is None or values.pop("kind", None) != _KIND:
                        raise UsageError(f"{path} is not a journal that this version can continue")
                    header = values
                elif values is None:
                    break
                elif finished := "finished" in values:
                    pass
                else:
                    offsets[values["path"]] = sound
                sound += len(line)
        if header is None:
            raise UsageError(f"{path} is not a journal that this version can continue")
        os.truncate(path, sound)
        return cls(path, header, offsets, finished)

    def __len__(self) -> int:
        return len(self._offsets)

    def __contains__(self, path: str) -> bool:
        return path in self._offsets

    def append(self, record: Record) -> None:
        """Add one row and hand it to the operating system, so that a killed process does not lose it."""
        self._offsets[record.path] = self._file.tell()
        self._write(record.to_dict())
        self.finished = False

    def finish(self) -> None:
        """Mark that every image has its row, and put all of it on the disk."""
        self._write({"finished": len(self)})
        os.fsync(self._file.fileno())
        self.finished = True

    def records(self) -> Iterator[Record]:
        """Yield the rows in the order of their paths, one at a time from the disk."""
        with self.path.open("rb") as file:
            for _, offset in sorted(self._offsets.items()):
                file.seek(offset)
                yield Record.from_dict(json.loads(file.readline()))

    def close(self) -> None:
        """Close the file; the rows stay."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _write(self, values: Mapping[str, Any]) -> None:
        self._file.write(_line(values))
        self._file.flush()


def _line(values: Mapping[str, Any]) -> bytes:
    return (json.dumps(values) + "\n").encode("ascii")


def _parse(line: bytes) -> dict[str, Any] | None:
    """Return a whole line's values; None if it is torn or damaged."""
    if line.endswith(b"\n"):
        with suppress(ValueError, KeyError, TypeError):
            values: dict[str, Any] = json.loads(line)
            if "kind" not in values and "finished" not in values:
                Record.from_dict(values)
            return values
    return None
