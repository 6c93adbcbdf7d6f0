"""The geometry of a line: the camera's scale, how the belt moves through its image, the lanes and the lines."""

from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mango_grader.errors import UsageError
from mango_grader.ranges import NotNegative, Pixels, Positive, Range
from mango_grader.settings import Section

Direction = Literal["right", "left", "down", "up"]
Motion = Literal["estimated", "speed", "encoder"]


@dataclass(frozen=True)
class Camera(Section):
    """What is known of the camera.

    Attributes:
        width: of a frame, in pixels.
        height: of a frame, in pixels.
        mm_per_px: millimetres on the belt per pixel; None leaves sizes and areas out.
        matrix: nine numbers of the 3 × 3 camera matrix, row by row, of a checkerboard; empty for a lens that does not
            distort.
        distortion: coefficients of the lens in OpenCV's order (k1, k2, p1, p2, k3).
    """

    width: Pixels
    height: Pixels
    mm_per_px: Positive | None = None
    matrix: tuple[float, ...] = ()
    distortion: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.matrix) not in (0, 9) or bool(self.distortion) > bool(self.matrix):
            raise UsageError("camera: matrix has nine numbers, and distortion needs a matrix")


@dataclass(frozen=True)
class Lane(Section):
    """A strip of the belt in which fruit travel one after the other.

    Attributes:
        low: where it begins across the belt, in pixels.
        high: where it ends across the belt, in pixels.
        decision_line: position along the belt at which its fruit are decided, in pixels; None is the belt's.
    """

    low: float
    high: float
    decision_line: NotNegative | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.low < self.high:
            raise UsageError(f"belt: a lane ends at {self.high:g}, which is not beyond its beginning, {self.low:g}")


@dataclass(frozen=True)
class Belt(Section):
    """How the belt moves through the image.

    Positions *along* the belt are pixels from the edge of the image at which fruit come in; positions *across* it are
    pixels from the top of the image where the belt moves right or left, from its left where it moves down or up. Where
    there is skew, positions across are those at which a fruit reaches the decision line.

    Attributes:
        direction: in which fruit move through the image.
        decision_line: position along the belt at which a fruit is decided, in pixels.
        entry_line: position along the belt before which a fruit is not graded yet, in pixels.
        skew: pixels across the belt by which fruit drift for each pixel along it, for a camera that is turned a little.
        lanes: strips of the belt; none is one lane as wide as the image.
        roi: corners (x, y) of the region of interest in pixels; none is the whole image.
        motion: how the belt's position is known: estimated from the frames, from its speed, or from an encoder.
        speed: of the belt, in pixels per second; where it is estimated, what to expect at first.
        px_per_tick: pixels that the belt moves per tick of the encoder.
    """

    direction: Direction
    decision_line: NotNegative
    entry_line: NotNegative = 0.0
    skew: Annotated[float, Range(-1, 1)] = 0.0
    lanes: tuple[Lane, ...] = ()
    roi: tuple[tuple[float, float], ...] = ()
    motion: Motion = "estimated"
    speed: NotNegative | None = None
    px_per_tick: Positive | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.entry_line > self.decision_line:
            raise UsageError("belt: entry_line lies beyond decision_line")
        if len(self.roi) in (1, 2):
            raise UsageError("belt: roi is a polygon of at least 3 corners")
        needed = {"speed": "speed", "encoder": "px_per_tick"}.get(self.motion)
        if needed is not None and getattr(self, needed) is None:
            raise UsageError(f'belt: motion = "{self.motion}" needs {needed}')


@dataclass(frozen=True)
class Axes:
    """Positions along and across the belt for pixels of a frame.

    Attributes:
        camera: whose frames.
        belt: that moves through them.

    Example:
        >>> axes = Axes(Camera(1280, 720), Belt("left", decision_line=900))
        >>> along, across = axes.place(1280, 100)
        >>> float(along), float(across)
        (0.0, 100.0)
    """

    camera: Camera
    belt: Belt

    @property
    def length(self) -> int:
        """Number of pixels of a frame along the belt."""
        return self.camera.width if self.belt.direction in ("right", "left") else self.camera.height

    @property
    def width(self) -> int:
        """Number of pixels of a frame across the belt."""
        return self.camera.height if self.belt.direction in ("right", "left") else self.camera.width

    def place(self, x: ArrayLike, y: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return positions along and across the belt.

        Args:
            x: columns of a frame, in pixels.
            y: rows of a frame, in pixels.
        """
        x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
        along, across = (x, y) if self.belt.direction in ("right", "left") else (y, x)
        if self.belt.direction in ("left", "up"):
            along = self.length - along
        return along, across - self._drift(along)

    def pixel(self, along: ArrayLike, across: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the columns and rows (x, y) of positions along and across the belt; the inverse of `place`."""
        along, across = np.asarray(along, np.float64), np.asarray(across, np.float64)
        across = across + self._drift(along)
        if self.belt.direction in ("left", "up"):
            along = self.length - along
        return (along, across) if self.belt.direction in ("right", "left") else (across, along)

    def _drift(self, along: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return by how many pixels a fruit lies off its place across the belt; at the decision line by none."""
        return self.belt.skew * (along - self.belt.decision_line)

    def lane(self, across: float) -> int:
        """Return the number of the lane at a position across the belt, from 1; 0 where there is none."""
        if not self.belt.lanes:
            return 1
        return next((n for n, lane in enumerate(self.belt.lanes, 1) if lane.low <= across < lane.high), 0)

    def decision_line(self, lane: int) -> float:
        """Return the position along the belt at which fruit of a lane (0: of none) are decided, in pixels."""
        own = self.belt.lanes[lane - 1].decision_line if lane and self.belt.lanes else None
        return self.belt.decision_line if own is None else own
