"""A bounded queue between a source and the line: the source is read in a thread of its own."""

from collections import deque
from collections.abc import Iterator
from threading import Condition, Thread
from typing import Literal

from mango_grader.errors import UsageError
from mango_grader.line.frame import Frame
from mango_grader.line.sources.base import LiveSource, Source, SourceCounts, closed_after
from mango_grader.line.sources.hot import HotFolder

WhenFull = Literal["block", "drop-oldest"]

_CLOSING = 2.0  # seconds to wait for a thread that hangs in a camera's driver


def buffered(source: Source, size: int = 16, when_full: WhenFull | None = None) -> "Buffered":
    """Return a source whose frames are read ahead, in a thread of its own.

    Args:
        source: to read.
        size: number of frames that wait at most.
        when_full: "block" lets the source wait, "drop-oldest" drops and counts the frame that has waited longest. None
            drops frames of live sources, and lets folders and videos wait.

    Example:
        >>> import numpy as np
        >>> from mango_grader.line import GivenFrames
        >>> source = buffered(GivenFrames([np.zeros((4, 6, 3), np.uint8)] * 3, fps=10), size=2)
        >>> [frame.time for frame in source.frames()], source.counts.delivered
        ([0.0, 0.1, 0.2], 3)
    """
    if when_full is None:
        when_full = "block" if source.finite or isinstance(source, HotFolder) else "drop-oldest"
    return Buffered(source, size, when_full)


class Buffered:
    """A source that is read ahead, see `buffered`.

    Args:
        source: to read.
        size: number of frames that wait at most, 1 or more.
        when_full: what happens to a frame that comes when as many wait.

    Attributes:
        name: that of the source.
        finite: that of the source.
        counts: those of the source; what is dropped is not counted as delivered.
    """

    def __init__(self, source: Source, size: int, when_full: WhenFull) -> None:
        if size < 1:
            raise UsageError(f"a queue holds at least 1 frame, not {size}")
        self.name, self.finite, self.counts = source.name, source.finite, source.counts
        self._source, self._size, self._when_full = source, size, when_full
        self._queue: _Queue | None = None

    def __len__(self) -> int:
        """Return the length of the source."""
        return len(self._source)

    @property
    def waiting(self) -> int:
        """Number of frames that were read and not yet handed on."""
        return 0 if self._queue is None else len(self._queue.frames)

    def stop(self) -> None:
        """End the frames of a live source soon; any thread may."""
        if isinstance(self._source, LiveSource):
            self._source.stop()

    def frames(self, start: int = 0) -> Iterator[Frame]:
        """Yield frames, see `Source.frames`."""
        queue = self._queue = _Queue(self._size, self._when_full, self.counts)
        reader = Thread(
            target=queue.fill, args=(self._source.frames(start),), name=f"frames of {self.name}", daemon=True
        )
        return self._frames(queue, reader)

    def _frames(self, queue: "_Queue", reader: Thread) -> Iterator[Frame]:
        reader.start()
        try:
            while (frame := queue.take()) is not None:
                yield frame
        finally:
            queue.close()
            self.stop()
            reader.join(_CLOSING)


class _Queue:
    """Frames that wait, filled by one thread and emptied by another."""

    def __init__(self, size: int, when_full: WhenFull, counts: SourceCounts) -> None:
        self.frames: deque[Frame] = deque()
        self._size, self._when_full, self._counts = size, when_full, counts
        self._changed = Condition()
        self._closed = False
        self._ended = False
        self._error: BaseException | None = None

    def fill(self, frames: Iterator[Frame]) -> None:
        """Put frames in until there are no more, or the queue is closed; keep the error that they end with."""
        try:
            with closed_after(frames):
                for frame in frames:
                    if not self._put(frame):
                        break
        except BaseException as error:  # Raised where frames are taken.
            self._error = error
        finally:
            with self._changed:
                self._ended = True
                self._changed.notify_all()

    def _put(self, frame: Frame) -> bool:
        with self._changed:
            if self._when_full == "block":
                self._changed.wait_for(lambda: self._closed or len(self.frames) < self._size)
            elif len(self.frames) >= self._size:
                self.frames.popleft()
                self._counts.dropped += 1
                self._counts.delivered -= 1
            self.frames.append(frame)
            self._changed.notify_all()
            return not self._closed

    def take(self) -> Frame | None:
        """Return the next frame, None after the last one."""
        with self._changed:
            self._changed.wait_for(lambda: self.frames or self._ended)
            if self.frames:
                frame = self.frames.popleft()
                self._changed.notify_all()
                return frame
        if self._error is not None:
            raise self._error
        return None

    def close(self) -> None:
        """Let nothing more in."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
