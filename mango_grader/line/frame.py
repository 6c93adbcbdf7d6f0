"""One image of the belt, and when it was taken."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Frame:
    """One image of the belt.

    Attributes:
        index: number of the image in its source, from 0; a gap means that images in between were lost.
        time: seconds on one clock that never jumps: the camera's, the file's or the monotonic one.
        image: (H, W, 3) uint8 RGB; None where it could not be read.
        ticks: position of the belt's encoder at the exposure; None where there is no encoder.
        name: of its file; "" where it has none.
        error: why there is no image; None if there is one.

    Example:
        >>> frame = Frame(index=0, time=0.0, image=np.zeros((720, 1280, 3), np.uint8))
        >>> frame.error is None
        True
    """

    index: int
    time: float
    image: NDArray[np.uint8] | None
    ticks: float | None = None
    name: str = ""
    error: str | None = None
