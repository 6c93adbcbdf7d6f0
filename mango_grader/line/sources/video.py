"""A video file, read with OpenCV's FFmpeg."""

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2

from mango_grader.errors import UsageError
from mango_grader.line.frame import Frame
from mango_grader.line.sources.base import Order, SourceCounts

TORN = "torn: it cannot be decoded"
_MOST_FPS = 10_000.0

# OpenCV and its FFmpeg print otherwise: what fails is told in one line, and a URL may hold a password. Read once.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


class Video:
    """A video file whose frames are the frames.

    Times are those of the container where they increase, and otherwise follow from its frames per second. To begin
    later, it decodes what is before and leaves it out: seeking is not exact in every container.

    Args:
        path: of the file.
        fps: frames per second, instead of what the file says.

    Attributes:
        name: the path.
        finite: True.
        counts: what happened to its frames so far; frames that the container announces and does not hold are missing.

    Raises:
        UsageError: there is no such file, or it cannot be read as a video.

    Example:
        ```python
        from itertools import islice

        for frame in islice(Video("belt.avi").frames(), 100):
            print(frame.index, frame.time)
        ```
    """

    def __init__(self, path: str | os.PathLike[str], fps: float | None = None) -> None:
        self.name, self.finite, self.counts = str(path), True, SourceCounts()
        self._fps = fps
        with self._opened() as capture:
            self._length = max(0, int(capture.get(cv2.CAP_PROP_FRAME_COUNT)))

    def __len__(self) -> int:
        """Return the number of frames that the container announces."""
        return self._length

    def frames(self, start: int = 0) -> Iterator[Frame]:
        """Yield frames, see `Source.frames`."""
        order, index, last = Order(self.counts, start), 0, -math.inf
        with self._opened() as capture:
            rate = capture.get(cv2.CAP_PROP_FPS)
            while capture.grab():
                last = self._time(index, capture.get(cv2.CAP_PROP_POS_MSEC) / 1000, last, rate)
                if order.accepts(index, last):
                    yield self.counts.deliver(decoded(capture, index, last))
                index += 1
        if index < self._length:
            self.counts.missing += self._length - max(index, start)

    def _time(self, index: int, told: float, last: float, rate: float) -> float:
        if self._fps is not None:
            return index / self._fps
        if math.isfinite(told) and told > last:
            return told
        if not 0 < rate < _MOST_FPS:
            raise UsageError(f"{self.name} does not tell when its frames were taken; give --fps")
        return last + 1 / rate

    @contextmanager
    def _opened(self) -> Iterator[Any]:
        path = Path(self.name)
        if not path.is_file():
            raise UsageError(f"{path}: {'not a file' if path.exists() else 'no such file'}")
        # An absolute path, for FFmpeg takes what is before a colon for a protocol.
        capture = cv2.VideoCapture(str(path.resolve()), cv2.CAP_FFMPEG)
        try:
            if not capture.isOpened():
                raise UsageError(f"{path} cannot be read as a video: it is damaged, or of a kind that is not read")
            yield capture
        finally:
            capture.release()


def decoded(capture: Any, index: int, time: float) -> Frame:
    """Return the frame that OpenCV has grabbed.

    Args:
        capture: a `cv2.VideoCapture`.
        index: of the frame.
        time: of the frame, in seconds.
    """
    found, image = capture.retrieve()
    if not found or image is None or image.ndim != 3:
        return Frame(index, time, None, error=TORN)
    return Frame(index, time, cv2.cvtColor(image, cv2.COLOR_BGR2RGB))
