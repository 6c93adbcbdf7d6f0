"""What is seen on the belt: blobs in one frame, sightings of one fruit, and its passage over the decision line."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Status = Literal["decided", "incomplete", "present at start"]
"""How a fruit ended: it passed the decision line; the source ended before; it was beyond it in the first frame."""


@dataclass(frozen=True)
class Box:
    """A rectangle of pixels.

    Attributes:
        left: first column, 0 or more.
        top: first row, 0 or more.
        right: the column after the last one.
        bottom: the row after the last one.
    """

    left: int
    top: int
    right: int
    bottom: int

    @property
    def width(self) -> int:
        """Number of columns."""
        return self.right - self.left

    @property
    def height(self) -> int:
        """Number of rows."""
        return self.bottom - self.top


@dataclass(frozen=True, eq=False)
class Blob:
    """One thing in one frame that is not belt.

    Attributes:
        box: around it.
        mask: (box.height, box.width) bool, its pixels.
        x: column of its centre of mass, in pixels of the frame.
        y: row of its centre of mass, in pixels of the frame.
        complete: whether it lies inside the frame and the region of interest, and touches no border of them.
    """

    box: Box
    mask: NDArray[np.bool_]
    x: float
    y: float
    complete: bool

    @property
    def area(self) -> int:
        """Number of its pixels."""
        return int(np.count_nonzero(self.mask))


@dataclass(frozen=True, eq=False)
class Sighting:
    """One look at one fruit.

    Attributes:
        fruit: number of the fruit, from 1, in the order in which fruit appear.
        frame: index of the frame.
        time: of the frame, in seconds.
        blob: in that frame.
        along: position of its centre along the belt, in pixels, see `Belt`.
        across: position of its centre across the belt, in pixels.
    """

    fruit: int
    frame: int
    time: float
    blob: Blob
    along: float
    across: float


@dataclass(frozen=True)
class Passage:
    """What the tracker says of a fruit once: it passed the decision line, or it never will.

    Attributes:
        fruit: number of the fruit, from 1.
        lane: number of its lane, from 1; 0 where it lies in no lane.
        status: how it ended.
        entered_frame: index of the first frame that shows it.
        entered_time: of that frame, in seconds.
        passed_frame: index of the frame at which the line was crossed, or the last one that shows it.
        passed_time: seconds at which its centre was on the decision line, between two frames; of its last frame if it
            is incomplete.
        passed_ticks: encoder position at that moment; None without an encoder.
        across: position of its centre across the belt at that moment, in pixels.
        sightings: number of frames that show it.
        speed: of the belt at that moment, in pixels per second; None where it is not known.
    """

    fruit: int
    lane: int
    status: Status
    entered_frame: int
    entered_time: float
    passed_frame: int
    passed_time: float
    passed_ticks: float | None
    across: float
    sightings: int
    speed: float | None = None
