"""What a source of frames is, and how all of them count what happened to their frames."""

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from mango_grader.line.frame import Frame


@dataclass
class SourceCounts:
    """What happened to the frames of a source; nothing is guessed away.

    Attributes:
        delivered: frames that were handed on.
        dropped: frames that were lost because the line was slower than the source.
        missing: frames that the source's own numbers say were never received.
        duplicates: frames that came twice and were handed on once.
        out_of_order: frames that came after a later one and were left out.
        unreadable: frames that could not be read.
        reconnects: times that the connection was lost and made again.
        without_ticks: frames for which the encoder could not be read.
    """

    delivered: int = 0
    dropped: int = 0
    missing: int = 0
    duplicates: int = 0
    out_of_order: int = 0
    unreadable: int = 0
    reconnects: int = 0
    without_ticks: int = 0

    def deliver(self, frame: Frame) -> Frame:
        """Count a frame as handed on, and as unreadable if it has an error; return it."""
        self.delivered += 1
        self.unreadable += frame.error is not None
        return frame


@runtime_checkable
class Source(Protocol):
    """Hands out the frames of a belt, in the order in which they were taken.

    Attributes:
        name: for messages and the log; without passwords.
        finite: whether it ends by itself: a folder or a video; a camera does not.
        counts: what happened to its frames so far.
    """

    name: str
    finite: bool
    counts: SourceCounts

    def frames(self, start: int = 0) -> Iterator[Frame]:
        """Yield frames, index and time increasing; one that cannot be read has an `error` and no image.

        Closing the iterator frees what the source holds.

        Args:
            start: index of the first frame to yield, for a finite source that goes on after an interruption; the
                frames from there on are those of a run without one. Frames of other sources are numbered from it.

        Raises:
            UsageError: there is no such folder, file or camera.
        """

    def __len__(self) -> int:
        """Return the number of frames of a finite source as far as it is known, else 0."""


@runtime_checkable
class LiveSource(Source, Protocol):
    """A source that could go on for ever, and can be told to end."""

    def stop(self) -> None:
        """End the frames soon; any thread may."""


@contextmanager
def closed_after(frames: Iterator[Frame]) -> Iterator[Iterator[Frame]]:
    """Close an iterator of frames at the end, where it can be closed, so that it frees what its source holds.

    Args:
        frames: of a source.
    """
    try:
        yield frames
    finally:
        if isinstance(frames, Generator):
            frames.close()


@dataclass
class Order:
    """Which frames of a source come in order; counts those that do not, and the gaps.

    Attributes:
        counts: of the source.
        start: index of the first frame to hand on; frames before it are checked, but not counted.
    """

    counts: SourceCounts
    start: int = 0
    _last: tuple[int, float] | None = field(default=None, init=False)

    def accepts(self, index: int, time: float) -> bool:
        """Return whether a frame is to be handed on.

        Args:
            index: of the frame.
            time: of the frame, in seconds.
        """
        last = self._last
        if last is None:
            self._last = index, time
            return index >= self.start
        counted = max(index, last[0]) >= self.start
        if index == last[0] or time == last[1]:
            self.counts.duplicates += counted
            return False
        if index < last[0] or not time > last[1]:
            self.counts.out_of_order += counted
            return False
        if index > self.start:
            self.counts.missing += index - max(last[0], self.start - 1) - 1
        self._last = index, time
        return index >= self.start
