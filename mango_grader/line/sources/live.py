"""A camera: one of this machine by its number, or a stream over RTSP or HTTP."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Any
from urllib.parse import urlsplit

import cv2

from mango_grader.errors import UsageError
from mango_grader.line.frame import Frame
from mango_grader.line.sources.base import SourceCounts
from mango_grader.line.sources.ending import Ending
from mango_grader.line.sources.video import decoded
from mango_grader.text import one_line

TIMEOUT = 5.0
"""Seconds after which a camera that sends nothing is lost, unless told otherwise."""

LOST = "the camera gave no frame; connecting again"
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 10.0  # seconds before connecting again; doubled each time


class LiveCamera:
    """A camera that goes on for ever: it connects again when it is lost.

    A frame's time is when it was received, on the monotonic clock. Each loss is one frame with an error. Before it
    connects again it waits 0.5 s, then twice as long each time, 10 s at most. Read it through `buffered`, whose thread
    takes each frame as soon as it comes.

    Args:
        address: number of a camera of this machine, or a URL: rtsp://, rtsps://, http:// or https://.
        timeout: seconds after which a camera that sends nothing is lost.
        stop_after: ends after that many seconds without a frame; None never does.
        stop_file: path of a file; the source ends when there is one.

    Attributes:
        name: the address without passwords and queries.
        finite: False.
        counts: what happened to its frames so far.

    Example:
        >>> camera = LiveCamera("rtsp://user:password@10.0.0.7/belt", timeout=3)
        >>> camera.name  # then: for frame in buffered(camera).frames(): ...
        'rtsp://10.0.0.7/belt'
    """

    def __init__(
        self,
        address: int | str,
        *,
        timeout: float = TIMEOUT,
        stop_after: float | None = None,
        stop_file: str | os.PathLike[str] | None = None,
    ) -> None:
        self.name = f"camera:{address}" if isinstance(address, int) else without_secrets(address)
        self.finite, self.counts = False, SourceCounts()
        self._address, self._timeout = address, timeout
        self._stop_after, self._stop_file = stop_after, stop_file
        self._ending = Ending()
        self._found = False

    def __len__(self) -> int:
        """Return 0: it does not end by itself."""
        return 0

    def find(self) -> None:
        """Open the camera and close it again, so that a wrong address is told before anything else begins.

        Raises:
            UsageError: it cannot be opened.
        """
        with self._opened() as capture:
            if not capture.isOpened():
                raise UsageError(f"{self.name} cannot be opened; is the camera on, and its address correct?")
        self._found = True

    def stop(self) -> None:
        """End the frames soon; any thread may."""
        self._ending.told.set()

    def frames(self, start: int = 0) -> Iterator[Frame]:
        """Yield frames, see `Source.frames`."""
        self._ending = Ending(self._stop_after, self._stop_file)
        return self._frames(start, self._ending)

    def _frames(self, index: int, ending: Ending) -> Iterator[Frame]:
        if not self._found:
            self.find()
        before, pause = False, _FIRST_PAUSE
        while not ending.reached():
            received = False
            with self._opened() as capture:
                while not ending.reached() and capture.grab():
                    time = monotonic()
                    self.counts.reconnects += before and not received
                    before, received, pause = True, True, _FIRST_PAUSE
                    ending.hear()
                    yield self.counts.deliver(decoded(capture, index, time))
                    index += 1
            if received and not ending.reached():
                yield self.counts.deliver(Frame(index, monotonic(), None, error=LOST))
                index += 1
            ending.wait(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    @contextmanager
    def _opened(self) -> Iterator[Any]:
        milliseconds = round(self._timeout * 1000)
        limits = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, milliseconds, cv2.CAP_PROP_READ_TIMEOUT_MSEC, milliseconds]
        here = isinstance(self._address, int)
        capture = cv2.VideoCapture(self._address, cv2.CAP_ANY if here else cv2.CAP_FFMPEG, [] if here else limits)
        try:
            yield capture
        finally:
            capture.release()


def without_secrets(address: str) -> str:
    """Return a URL without user, password and query, which may hold a password, too; to show it.

    Example:
        >>> without_secrets("rtsp://admin:secret@10.0.0.7:554/belt?token=1")
        'rtsp://10.0.0.7:554/belt'
    """
    parts = urlsplit(address)
    return one_line(f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}")
