"""Writes annotated frames as a clip, in a thread of its own."""

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from queue import Full, Queue
from typing import Self

import cv2
import numpy as np
from numpy.typing import NDArray

from mango_grader.errors import UsageError
from mango_grader.line.annotation.drawing import Annotator
from mango_grader.line.decision import Decision
from mango_grader.line.frame import Frame
from mango_grader.line.observations import Sighting
from mango_grader.text import counted, one_line

CODECS: Mapping[str, str] = {".mp4": "mp4v", ".webm": "VP80", ".avi": "MJPG"}
"""The codec for each ending of a clip's name: the encoders that OpenCV's wheels bring. Browsers play WebM."""

_WAITING = 8  # frames that may wait to be written
_RATES = 1.0, 60.0  # frames per second
_END = None

Seen = tuple[Frame, tuple[Sighting, ...], tuple[Decision, ...]]


class AnnotatedClip:
    """An observer of a line that writes each frame, with what was seen and decided in it, to a clip.

    The clip is written beside its place and moved there when it is closed. What goes wrong with it never stops the
    line: `error` tells it at the end.

    Args:
        path: of the clip; its ending, .mp4, .webm or .avi, chooses the format.
        annotator: that draws.
        wait: whether the line waits for a clip that is slower to write than the frames come; otherwise frames are left
            out, as they should be at a camera.
        fps: frames per second of the clip; None takes it from the times of the first two frames.

    Attributes:
        frames: number of frames that were written.
        dropped: number of frames that were left out.
        error: why there is no clip, or not all of it; "" if there is.

    Raises:
        UsageError: the ending is not known, or the folder cannot be written.

    Example:
        ```python
        import tempfile
        from mango_grader.line import AnnotatedClip, Annotator, Axes, Belt, Camera

        axes = Axes(Camera(64, 48), Belt("right", decision_line=50))
        with AnnotatedClip(tempfile.mkdtemp() + "/belt.avi", Annotator(axes, ("A", "B"))) as clip:
            for index in range(3):  # a line does this: Line(..., observers=[clip])
                clip.see(Frame(index, index / 25, np.zeros((48, 64, 3), np.uint8)), (), ())
        assert clip.frames == 3
        ```
    """

    def __init__(
        self, path: str | os.PathLike[str], annotator: Annotator, *, wait: bool = True, fps: float | None = None
    ) -> None:
        self.frames = self.dropped = 0
        self.error = ""
        self._path, self._annotator, self._wait, self._fps = Path(path), annotator, wait, fps
        if self._path.suffix.lower() not in CODECS:
            raise UsageError(f"{self._path}: a clip is written as {', '.join(CODECS)}")
        self._part = self._path.with_name(f".{self._path.stem}.part{self._path.suffix}")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._part.touch()
        except OSError as error:
            raise UsageError(f"{self._path}: {str(error.strerror).lower()}") from error
        self._writer: cv2.VideoWriter | None = None
        self._first: tuple[float, NDArray[np.uint8]] | None = None
        self._size: tuple[int, ...] = ()
        self._left_out: tuple[Decision, ...] = ()
        self._seen: Queue[Seen | None] = Queue(_WAITING)
        self._thread = threading.Thread(target=self._work, name=f"clip {self._path.name}", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __str__(self) -> str:
        left_out = f", {self.dropped:,} left out" if self.dropped else ""
        return self.error or f"{counted(self.frames, 'frame')}{left_out} → {self._path}"

    def see(self, frame: Frame, sightings: Sequence[Sighting], decisions: Sequence[Decision]) -> None:
        """Take in one frame; one without an image is left out.

        Args:
            frame: of the belt.
            sightings: of the fruit that it shows.
            decisions: that it brought.
        """
        if frame.image is None:
            return
        decisions = (*self._left_out, *decisions)
        try:
            self._seen.put((frame, tuple(sightings), decisions), block=self._wait)
            self._left_out = ()
        except Full:
            self.dropped += 1
            self._left_out = decisions

    def close(self) -> None:
        """Write what waits, and move the clip to its place."""
        if not self._thread.is_alive():
            return
        self._seen.put(_END)
        self._thread.join()
        if self.frames and not self.error:
            self._part.replace(self._path)
        self._part.unlink(missing_ok=True)

    def _work(self) -> None:
        while (seen := self._seen.get()) is not _END:
            self._try(self._draw, seen)
        self._try(self._finish)

    def _try(self, step: Callable[..., None], *what: object) -> None:
        if self.error:
            return
        try:
            step(*what)
        except Exception as error:  # The line goes on, whatever a codec raises.
            self.error = f"{self._path}: {one_line(str(error))}"

    def _draw(self, seen: Seen) -> None:
        image = self._annotator.draw(*seen)
        if self._writer is not None:
            self._write(self._writer, image)
        elif self._fps is not None:
            self._write(self._open(self._fps, image), image)
        elif self._first is None:
            self._first = seen[0].time, image  # the second frame tells the rate
        else:
            began, first = self._first
            rate = 1 / max(seen[0].time - began, 1e-6)
            writer = self._open(min(max(rate, _RATES[0]), _RATES[1]), first)
            self._write(writer, first)
            self._write(writer, image)

    def _open(self, fps: float, image: NDArray[np.uint8]) -> cv2.VideoWriter:
        code = cv2.VideoWriter.fourcc(*CODECS[self._path.suffix.lower()])
        self._writer = cv2.VideoWriter(str(self._part), cv2.CAP_FFMPEG, code, fps, image.shape[1::-1])
        if not self._writer.isOpened():
            raise OSError("OpenCV cannot write such a clip here; try another ending")
        self._size = image.shape
        return self._writer

    def _write(self, writer: cv2.VideoWriter, image: NDArray[np.uint8]) -> None:
        if image.shape != self._size:  # a writer leaves such a frame out without a word
            image = np.asarray(cv2.resize(image, self._size[1::-1], interpolation=cv2.INTER_AREA), np.uint8)
        writer.write(cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
        self.frames += 1

    def _finish(self) -> None:
        if self._writer is None and self._first is not None:
            self._write(self._open(_RATES[0], self._first[1]), self._first[1])
        if self._writer is not None:
            self._writer.release()
            self._check()

    def _check(self) -> None:
        """Read the clip: a writer says nothing of a full disk."""
        written = cv2.VideoCapture(str(self._part), cv2.CAP_FFMPEG)
        count = int(written.get(cv2.CAP_PROP_FRAME_COUNT))
        written.release()
        if count < self.frames:
            raise OSError(f"only {count} of {self.frames} frames were written: is the disk full?")
