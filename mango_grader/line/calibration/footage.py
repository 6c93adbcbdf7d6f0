"""The frames that a calibration looks at: all of them small, and some of them whole."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice

import cv2
import numpy as np
from numpy.typing import NDArray

from mango_grader.errors import UsageError
from mango_grader.line.frame import Frame
from mango_grader.line.lens import Lens
from mango_grader.line.sources.base import Source
from mango_grader.progress import Progress

SMALL_SIDE = 320
"""Longer side of the small images, in pixels."""
_RUNS, _RUN = 40, 3  # runs of consecutive frames that are kept whole, and frames of each
_EMPTY = 24  # frames of the empty belt that are kept whole


@dataclass(frozen=True, eq=False)
class Footage:
    """Frames of a belt.

    Attributes:
        width: of a frame, in pixels.
        height: of a frame, in pixels.
        times: of all frames, in seconds.
        ticks: of the encoder at each frame; None where a frame has none.
        small: (frames, h, w) uint8, their grey values, reduced.
        runs: consecutive frames with their images, spread over the whole.
        empty: images of the empty belt; none if it is not known when it was empty.
    """

    width: int
    height: int
    times: NDArray[np.float64]
    ticks: tuple[float | None, ...]
    small: NDArray[np.uint8]
    runs: tuple[tuple[Frame, ...], ...]
    empty: tuple[NDArray[np.uint8], ...]

    @property
    def scale(self) -> float:
        """Pixels of a frame per pixel of a small image."""
        return float(max(self.width, self.height) / max(self.small.shape[1:]))

    @property
    def images(self) -> list[NDArray[np.uint8]]:
        """Images of the frames that were kept whole, without those that the user says are empty."""
        return [frame.image for frame in self.whole if frame.image is not None]

    @property
    def whole(self) -> list[Frame]:
        """Frames that were kept whole, in their order."""
        return [frame for run in self.runs for frame in run]

    def straightened(self, lens: Lens) -> "Footage":
        """Return the footage without the distortion of the lens."""
        return replace(
            self,
            small=np.stack([lens.straightened(image) for image in self.small]),
            runs=tuple(tuple(lens.straighten(frame) for frame in run) for run in self.runs),
            empty=tuple(lens.straightened(image) for image in self.empty),
        )


def gather(source: Source, most: int, empty: Sequence[range], progress: Progress) -> Footage:
    """Read frames; those that cannot be read are left out.

    Args:
        source: of frames.
        most: frames to read.
        empty: indexes of frames that show the empty belt; the last one may end beyond the footage.
        progress: where to report to.

    Raises:
        UsageError: there are fewer than 3 frames, they differ in size, or none of the empty ones exists.
    """
    total = min(most, len(source) or most)
    starts = {int(start) for start in np.linspace(0, max(total - _RUN, 0), min(_RUNS, max(total // _RUN, 1)))}
    whole = {start + n for start in starts for n in range(_RUN)}
    indexes = sorted({index for part in empty for index in part if index < most})
    wanted = (
        {indexes[int(n)] for n in np.linspace(0, len(indexes) - 1, min(_EMPTY, len(indexes)))} if indexes else set()
    )
    frames: list[Frame] = []  # without their images
    small: list[NDArray[np.uint8]] = []
    kept: dict[int, Frame] = {}
    emptied: list[NDArray[np.uint8]] = []
    size: tuple[int, ...] | None = None
    with progress.task("frames", total) as task:
        for place, frame in enumerate(islice(source.frames(), most)):
            task.advance()
            if frame.image is None:
                continue
            if size is not None and frame.image.shape != size:
                raise UsageError(f"{source.name}: frame {frame.index} differs in size from those before it")
            size = frame.image.shape
            frames.append(Frame(frame.index, frame.time, None, frame.ticks))
            small.append(_small(frame.image))
            if place in whole:
                kept[place] = frame
            if frame.index in wanted:
                emptied.append(frame.image)
    if size is None or len(frames) < 3:
        raise UsageError(f"{source.name}: a calibration needs at least 3 frames that can be read, not {len(frames)}")
    if indexes and not emptied:
        raise UsageError(f"--empty: {source.name} has no frame {indexes[0]} that can be read")
    runs = tuple(
        tuple(kept[start + n] for n in range(_RUN) if start + n in kept) for start in sorted(starts) if start in kept
    )
    return Footage(
        width=size[1],
        height=size[0],
        times=np.array([frame.time for frame in frames]),
        ticks=tuple(frame.ticks for frame in frames),
        small=np.stack(small),
        runs=runs,
        empty=tuple(emptied),
    )


def _small(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    factor = min(1.0, SMALL_SIDE / max(image.shape[:2]))
    size = max(1, round(image.shape[1] * factor)), max(1, round(image.shape[0] * factor))
    return np.asarray(cv2.resize(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), size, interpolation=cv2.INTER_AREA), np.uint8)
