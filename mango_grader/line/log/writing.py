"""Writing the log of a line: what a run says again after an interruption must be what the log holds already."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mango_grader import files
from mango_grader.errors import FormatError
from mango_grader.line.log.chain import Chain, Link, Position
from mango_grader.line.log.entries import (
    Counted,
    Ended,
    Entry,
    ModelChanged,
    ModelRefused,
    Resumed,
    Started,
    Worked,
)
from mango_grader.line.log.folder import Checkpoint, LogFolder

SAID_ONCE = (Started, Resumed, Counted, ModelRefused, Ended)
"""Entries of one process, which do not come again when its frames do."""


class Tail:
    """Entries of a log that a run comes by again, in their order; one at a time is in memory.

    Args:
        found: lines of a log, see `LogFolder.entries`.
        where: names the log in messages.
    """

    def __init__(self, found: Iterable[tuple[Link, Entry]] = (), where: str = "the log") -> None:
        self.where = where
        self._left = ((link, entry) for link, entry in found if not isinstance(entry, SAID_ONCE))
        self._head = next(self._left, None)

    def __bool__(self) -> bool:
        return self._head is not None

    def match(self, entry: Entry) -> bool:
        """Return whether the log holds an entry already; False once the run is beyond the end of the log.

        Raises:
            FormatError: the log holds another one in this place.
        """
        if self._head is None:
            return False
        (link, known), self._head = self._head, next(self._left, None)
        if files.to_json(known.to_dict()) != files.to_json(entry.to_dict()):
            raise self._differs(link, _difference(known, entry))
        return True

    def check_over(self) -> None:
        """Raise `FormatError` if the run has ended, and the log holds more."""
        if self._head is not None:
            link, known = self._head
            raise self._differs(link, f"a {known.kind} in the log, and now nothing of it")

    def work(self, frame: int) -> Worked | None:
        """Return how far grading came in the time of a frame; None where the log does not say.

        Args:
            frame: its index.
        """
        known = None if self._head is None else self._head[1]
        return known if isinstance(known, Worked) and known.frame == frame else None

    def model(self, frame: int) -> ModelChanged | None:
        """Return the change of the model before a frame; None if there was none.

        Args:
            frame: its index.
        """
        known = None if self._head is None else self._head[1]
        return known if isinstance(known, ModelChanged) and known.frame == frame else None

    def _differs(self, link: Link, what: str) -> FormatError:
        return FormatError(
            f"{self.where}: line {link.number}: {what}: the frames, the configuration or the program are not what they "
            "were"
        )


class LogWriter:
    """A log that is open for writing; `locked_log` keeps it for one process.

    Args:
        folder: of the log.
        end: of its last whole line; what follows is cut off.
        tail: entries that the run comes by again.
    """

    def __init__(self, folder: LogFolder, end: Position, tail: Tail) -> None:
        self.folder, self.tail = folder, tail
        self._chain = Chain(folder.chain, end)

    @property
    def position(self) -> Position:
        """The end of the log."""
        return self._chain.end

    def put(self, entries: Sequence[Entry], *, sync: bool = True) -> list[Entry]:
        """Add entries, except those that the log holds already; return those that were added.

        Args:
            entries: in their order.
            sync: whether to return only when they are on the disk.

        Raises:
            FormatError: the log holds another entry in the place of one of them.
        """
        new = [entry for entry in entries if isinstance(entry, SAID_ONCE) or not self.tail.match(entry)]
        if new:
            self._chain.append([entry.to_dict() for entry in new], sync=sync)
        return new

    def save(self, checkpoint: Checkpoint) -> None:
        """Write everything to the disk, and then a checkpoint.

        Args:
            checkpoint: where the run can go on.
        """
        self._chain.sync()
        self.folder.save(checkpoint)

    def close(self) -> None:
        """Close the file."""
        self._chain.close()


@contextmanager
def locked_log(folder: LogFolder) -> Iterator[None]:
    """Keep other processes from writing a log.

    Args:
        folder: of the log; it is made if needed.

    Raises:
        UsageError: another process writes it.
    """
    home = Path(folder.path)
    home.mkdir(parents=True, exist_ok=True)
    with files.locked(home / ".lock", f"another process writes {home}; wait for it, or choose another --out"):
        yield


def _difference(known: Entry, now: Entry) -> str:
    """Return the first thing in which two different entries differ."""
    if type(known) is not type(now):
        return f"a {known.kind} in the log, and now a {now.kind}"
    one, other = _leaves(known.to_dict()), _leaves(now.to_dict())
    name = next(name for name in [*one, *other] if one.get(name) != other.get(name))
    return f"{name} is {one.get(name, 'missing')} in the log, and now {other.get(name, 'missing')}"


def _leaves(value: Any, name: str = "") -> dict[str, str]:
    """Return what a value of JSON's types holds, by where it is in it."""
    if isinstance(value, Mapping):
        parts = [(f"{name}.{key}" if name else str(key), part) for key, part in value.items()]
    elif isinstance(value, list | tuple):
        parts = [(f"{name}[{number}]", part) for number, part in enumerate(value)]
    else:
        return {name: files.to_json(value)}
    return {key: text for inner, part in parts for key, text in _leaves(part, inner).items()}
