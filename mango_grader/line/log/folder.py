"""The log folder of a line: the chain of entries, the last checkpoint, copies of the models, thumbnails of fruit."""

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from mango_grader import files
from mango_grader.errors import FormatError, UsageError
from mango_grader.line.decision import Decision
from mango_grader.line.log.chain import Link, Position, links
from mango_grader.line.log.entries import Decided, Ended, Entry, Started, read_entry

_CHECKPOINT = "mango-grader line checkpoint 1"


@dataclass(frozen=True)
class Checkpoint:
    """Where a run can go on, written whole now and then.

    Attributes:
        position: in the log.
        frame: index of the first frame that is not in `state`.
        ended: whether the run has ended.
        state: of the parts of the line, plain JSON values; None at the beginning.
    """

    position: Position
    frame: int = 0
    ended: bool = False
    state: Mapping[str, Any] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {"kind": _CHECKPOINT, **vars(self), "position": asdict(self.position)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Rebuild from `to_dict`; raise `KeyError` or `TypeError` for anything else."""
        rest = {name: value for name, value in values.items() if name != "kind"}
        return cls(**{**rest, "position": Position(**values["position"])})


@dataclass(frozen=True)
class Verified:
    """What the check of a log has found.

    Attributes:
        lines: number of its lines, all intact.
        decisions: number of decisions.
        ended: whether the run has ended; otherwise it goes on, or it was interrupted.
        seal: hash of the last line, which stands for the whole log: written down elsewhere, it shows later whether
            the log was made anew.
    """

    lines: int
    decisions: int
    ended: bool
    seal: str


@dataclass(frozen=True)
class LogFolder:
    """The folder in which a line keeps what it has seen and decided.

    Attributes:
        path: of the folder.

    Example:
        >>> log = LogFolder("fruit.csv.log")
        >>> if log.exists():
        ...     print(log.verify())
        ...     for decision in log.decisions():
        ...         print(decision.id, decision.grade)
    """

    path: str | os.PathLike[str]

    @property
    def chain(self) -> Path:
        """The file of the entries."""
        return Path(self.path, "log.jsonl")

    @property
    def checkpoint_file(self) -> Path:
        """The file of the last checkpoint."""
        return Path(self.path, "checkpoint.json")

    @property
    def thumbnails(self) -> Path:
        """The folder with images of some fruit, SEQUENCE.jpg each."""
        return Path(self.path, "fruit")

    def model(self, digest: str) -> Path:
        """Return the path of the copy of a model.

        Args:
            digest: of its manifest.
        """
        return Path(self.path, "models", f"{digest[:16]}.mango")

    @property
    def sinks(self) -> Path:
        """The folder in which each sink has a folder of its own."""
        return Path(self.path, "sinks")

    def exists(self) -> bool:
        """Return whether there is a log that was begun."""
        with suppress(OSError), self.chain.open("rb") as file:
            return file.readline().endswith(b"\n")  # Less is what a full disk leaves of the first line.
        return False

    @property
    def started(self) -> Started:
        """The first entry.

        Raises:
            UsageError: the folder is no log.
            FormatError: its first line was changed.
        """
        if not self.exists():
            raise UsageError(f"{self.path} is not the log of a line; `conveyor run` makes one, FILE.log beside FILE")
        for _, entry in self.entries():
            if isinstance(entry, Started):
                return entry
            break
        raise FormatError(f"{self.chain}: line 1 does not say what was started")

    def entries(self, start: Position | None = None) -> Iterator[tuple[Link, Entry]]:
        """Yield the lines and what they say, one at a time from the disk.

        Args:
            start: where to begin; None is the beginning.

        Raises:
            FormatError: a line was changed, is missing or repeated; the message names it.
        """
        for link in links(self.chain, start):
            yield link, read_entry(link.values, f"{self.chain}: line {link.number}")

    def decisions(self, after: int = 0, start: Position | None = None) -> Iterator[Decision]:
        """Yield the decisions in their order, one at a time from the disk.

        Args:
            after: sequence number of the last decision to leave out.
            start: where in the log to begin; None is the beginning.
        """
        for _, entry in self.entries(start):
            if isinstance(entry, Decided) and entry.decision.sequence > after:
                yield entry.decision

    def reader(self) -> "DecisionsInLog":
        """Return a reader of the decisions, for one sink."""
        return DecisionsInLog(self)

    def checkpoint(self) -> Checkpoint | None:
        """Return the last checkpoint; None where there is none."""
        try:
            return Checkpoint.from_dict(files.read_json(self.checkpoint_file))
        except FileNotFoundError:
            return None
        except (KeyError, TypeError, AttributeError):
            raise FormatError(f"{self.checkpoint_file} is not a checkpoint of this version") from None

    def save(self, checkpoint: Checkpoint) -> None:
        """Replace the checkpoint.

        Args:
            checkpoint: whose position is on the disk already.
        """
        files.write_text(self.checkpoint_file, files.to_json(checkpoint.to_dict()))

    def keep_model(self, path: Path, digest: str) -> Path:
        """Keep a copy of a model, so that runs can go on and be replayed after the file was replaced.

        Args:
            path: of the .mango file.
            digest: of its manifest.
        """
        target = self.model(digest)
        if not target.exists():
            with files.replacing(target) as temporary:
                shutil.copyfile(path, temporary)
        return target

    def verify(self) -> Verified:
        """Read the whole log.

        Raises:
            UsageError: the folder is no log.
            FormatError: a line was changed, is missing or repeated, or the end is missing; the message names the line.
        """
        _ = self.started
        checkpoint = self.checkpoint()
        number, decisions, ended, end = 0, 0, False, Position()
        for link, entry in self.entries():
            number, end, ended = link.number, link.end, isinstance(entry, Ended)
            if isinstance(entry, Decided):
                decisions += 1
                if entry.decision.sequence != decisions:
                    raise FormatError(f"{self.chain}: line {number} holds decision {entry.decision.sequence} as the "
                                      f"{decisions}th")  # fmt: skip
            if isinstance(entry, Ended) and entry.decisions != decisions:
                raise FormatError(f"{self.chain}: line {number} counts {entry.decisions} decisions of {decisions}")
            if checkpoint and number == checkpoint.position.lines and end != checkpoint.position:
                raise FormatError(f"{self.chain}: line {number} is not the one that {self.checkpoint_file.name} names")
        if checkpoint and number < checkpoint.position.lines:
            raise FormatError(f"{self.chain}: the end is missing, from line {number + 1} on: "
                              f"{self.checkpoint_file.name} names line {checkpoint.position.lines}")  # fmt: skip
        return Verified(number, decisions, ended, end.hash)


class DecisionsInLog:
    """Reads the decisions of a log that grows, each from where the last one ended.

    Args:
        folder: of the log.
    """

    def __init__(self, folder: LogFolder) -> None:
        self._folder, self._end, self._last = folder, Position(), 0

    def after(self, sequence: int) -> Iterator[Decision]:
        """Yield the decisions that the log holds now, in their order, one at a time from the disk.

        Args:
            sequence: number of the last decision to leave out.
        """
        if sequence < self._last:
            self._end, self._last = Position(), 0
        for link, entry in self._folder.entries(self._end):
            self._end = link.end
            if isinstance(entry, Decided):
                self._last = entry.decision.sequence
                if self._last > sequence:
                    yield entry.decision
