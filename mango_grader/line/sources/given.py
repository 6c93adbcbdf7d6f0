"""Frames that Python code hands over: arrays, or whole frames."""

from collections.abc import Iterable, Iterator, Sequence, Sized
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mango_grader.errors import ImageError, UsageError
from mango_grader.line.frame import Frame
from mango_grader.line.sources.base import Order, SourceCounts
from mango_grader.runtime.images.decode import decode


class GivenFrames:
    """Frames from Python: an iterable of arrays, or of `Frame` with indices and times of their own.

    Args:
        images: (H, W, 3) RGB arrays and whatever else `decode` reads, or frames.
        fps: frames per second of images that are not frames.
        finite: whether they end by themselves; False for those of a camera.
        name: for messages and the log.

    Attributes:
        name: for messages and the log.
        finite: whether it ends by itself.
        counts: what happened to its frames so far.

    Example:
        >>> source = GivenFrames([np.zeros((4, 6, 3), np.uint8)] * 3, fps=10)
        >>> [(frame.index, frame.time) for frame in source.frames()]
        [(0, 0.0), (1, 0.1), (2, 0.2)]
    """

    def __init__(
        self, images: Iterable[Any], fps: float | None = None, *, finite: bool = True, name: str = "Python"
    ) -> None:
        if fps is not None and not fps > 0:
            raise UsageError(f"fps must be above 0, not {fps:g}")
        self.name, self.finite, self.counts = name, finite, SourceCounts()
        self._images, self._fps = images, fps

    def __len__(self) -> int:
        """Return the number of images, 0 if the iterable does not tell."""
        return len(self._images) if self.finite and isinstance(self._images, Sized) else 0

    def frames(self, start: int = 0) -> Iterator[Frame]:
        """Yield frames, see `Source.frames`."""
        skipped = start if self.finite else 0
        order = Order(self.counts, skipped)
        for place, given in enumerate(self._images, 0 if self.finite else start):
            frame = self._frame(place, given) if not isinstance(given, Frame) else given
            if order.accepts(frame.index, frame.time):
                yield self.counts.deliver(frame)

    def _frame(self, index: int, given: Any) -> Frame:
        if self._fps is None:
            raise UsageError("images without times need fps; or hand over frames, Frame(index, time, image)")
        image, error = None, None
        try:
            image = _pixels(given)
            if not isinstance(self._images, Sequence):  # A camera may use one buffer again and again.
                image = image.copy()
        except ImageError as reason:
            error = str(reason)
        return Frame(index, index / self._fps, image, error=error)


def _pixels(given: Any) -> NDArray[np.uint8]:
    if isinstance(given, np.ndarray) and given.dtype == np.uint8 and given.ndim == 3 and given.shape[2] == 3:
        return given
    return np.asarray(decode(given))
