"""What a source of frames is."""

from collections.abc import Iterator
from dataclasses import dataclass
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
    """

    delivered: int = 0
    dropped: int = 0
    missing: int = 0
    duplicates: int = 0
    out_of_order: int = 0
    unreadable: int = 0
    reconnects: int = 0


@runtime_checkable
class Source(Protocol):
    """Hands out the frames of a belt, in the order in which they were taken.

    Attributes:
        name: for messages and the log.
        finite: whether it ends by itself: a folder or a video; a camera does not.
        counts: what happened to its frames so far.
    """

    name: str
    finite: bool
    counts: SourceCounts

    def frames(self, start: int = 0) -> Iterator[Frame]:
        """Yield frames; one that cannot be read has an `error` and no image.

        Closing the iterator frees what the source holds.

        Args:
            start: index of the first frame to yield, for a finite source that goes on after an interruption.

        Raises:
            UsageError: there is no such folder, file or camera.
        """

    def __len__(self) -> int:
        """Return the number of frames of a finite source as far as it is known, else 0."""
