"""How many millimetres of belt a pixel is: from a ruler, a checkerboard, or the known pitch of the belt."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, Self

import cv2
import numpy as np
from numpy.typing import NDArray

from mango_grader.errors import UsageError

_NUMBER = r"(\d+(?:\.\d+)?)"
_VIEWS = 6  # of a checkerboard that are enough to know the lens
_SHARP_PX = 1.0  # mean error of the corners, in pixels, above which a lens is not believed


@dataclass(frozen=True)
class Scale:
    """What is known of the camera's scale.

    Attributes:
        mm_per_px: millimetres on the belt per pixel.
        how: it is known, in words.
        matrix: nine numbers of the camera matrix; empty where the lens was not measured.
        distortion: of the lens; empty likewise.
    """

    mm_per_px: float
    how: str
    matrix: tuple[float, ...] = ()
    distortion: tuple[float, ...] = ()


class Measure(Protocol):
    """Something of known size."""

    def scale(self, images: Sequence[NDArray[np.uint8]], period: float | None) -> Scale:
        """Return the scale.

        Args:
            images: (H, W, 3) uint8 RGB, of the belt.
            period: after which the belt's pattern repeats, in pixels; None if it does not.

        Raises:
            UsageError: it cannot be told from these images.
        """


@dataclass(frozen=True)
class Given:
    """A scale that the user knows.

    Attributes:
        mm_per_px: millimetres on the belt per pixel, above 0.
    """

    mm_per_px: float

    def scale(self, images: Sequence[NDArray[np.uint8]], period: float | None) -> Scale:
        """Return the scale."""
        return Scale(self.mm_per_px, "given")


@dataclass(frozen=True)
class Ruler:
    """A length that the user has measured in the image.

    Attributes:
        px: its length in pixels, above 0.
        mm: its length in millimetres, above 0.

    Example:
        >>> Ruler.parse("10,20,310,420:250mm")
        Ruler(px=500.0, mm=250.0)
    """

    px: float
    mm: float

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read "x1,y1,x2,y2:LENGTHmm" or "LENGTHpx:LENGTHmm"; raise `UsageError` for anything else."""
        points = re.fullmatch(rf"{_NUMBER},{_NUMBER},{_NUMBER},{_NUMBER}:{_NUMBER}mm", text.replace(" ", ""))
        length = re.fullmatch(rf"{_NUMBER}px:{_NUMBER}mm", text.replace(" ", ""))
        if points is not None:
            x1, y1, x2, y2, mm = map(float, points.groups())
            px = math.hypot(x2 - x1, y2 - y1)
        elif length is not None:
            px, mm = map(float, length.groups())
        else:
            raise UsageError(
                f"--ruler {text[:60]}: write two points and the length, 10,20,310,420:250mm, or 500px:250mm"
            )
        if not px > 0 or not mm > 0:
            raise UsageError(f"--ruler {text[:60]}: a length is 0")
        return cls(px, mm)

    def scale(self, images: Sequence[NDArray[np.uint8]], period: float | None) -> Scale:
        """Return the scale."""
        return Scale(self.mm / self.px, f"a ruler of {self.mm:g} mm, {self.px:.1f} pixels long")


@dataclass(frozen=True)
class Pitch:
    """The pitch of the belt: the distance from one hole, rod or roller to the next.

    Attributes:
        mm: in millimetres, above 0.
    """

    mm: float

    def scale(self, images: Sequence[NDArray[np.uint8]], period: float | None) -> Scale:
        """Return the scale; raise `UsageError` if the belt's pattern does not repeat."""
        if period is None:
            raise UsageError("--pitch-mm: the pattern of this belt does not repeat visibly; use --ruler")
        return Scale(self.mm / period, f"the belt repeats every {period:.1f} pixels, which are {self.mm:g} mm")


@dataclass(frozen=True)
class Checkerboard:
    """A checkerboard on the belt.

    Attributes:
        columns: inner corners in a row, 2 or more.
        rows: inner corners in a column, 2 or more.
        mm: side of a square in millimetres, above 0.

    Example:
        >>> Checkerboard.parse("9x6:25mm")
        Checkerboard(columns=9, rows=6, mm=25.0)
    """

    columns: int
    rows: int
    mm: float

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read "COLUMNSxROWS:SIDEmm"; raise `UsageError` for anything else."""
        found = re.fullmatch(rf"(\d{{1,3}})x(\d{{1,3}}):{_NUMBER}mm", text.replace(" ", ""))
        if found is None or int(found[1]) < 3 or int(found[2]) < 3 or not float(found[3]) > 0:
            raise UsageError(
                f"--checkerboard {text[:60]}: write inner corners, 3 or more each way, and a square's side: 9x6:25mm"
            )
        return cls(int(found[1]), int(found[2]), float(found[3]))

    def scale(self, images: Sequence[NDArray[np.uint8]], period: float | None) -> Scale:
        """Return the scale, and the lens where enough images show the board; raise `UsageError` if none does."""
        corners = [found for image in images if (found := self._corners(image)) is not None]
        if not corners:
            raise UsageError(
                f"--checkerboard: none of {len(images)} frames shows a board of {self.columns}×{self.rows} corners"
            )
        sides = [self._side(each) for each in corners]
        how = f"a checkerboard in {len(corners)} frames"
        matrix, distortion = self._lens(corners, images[0].shape) if len(corners) >= _VIEWS else ((), ())
        return Scale(self.mm / float(np.median(sides)), how, matrix, distortion)

    def _corners(self, image: NDArray[np.uint8]) -> NDArray[np.float32] | None:
        grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        flags = cv2.CALIB_CB_ADAPTIVE_THRESH | cv2.CALIB_CB_NORMALIZE_IMAGE | cv2.CALIB_CB_FAST_CHECK
        seen, corners = cv2.findChessboardCorners(grey, (self.columns, self.rows), flags=flags)
        if not seen:
            return None
        stop = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 30, 0.01)
        return np.asarray(cv2.cornerSubPix(grey, corners, (5, 5), (-1, -1), stop), np.float32)

    def _side(self, corners: NDArray[np.float32]) -> float:
        grid = corners.reshape(self.rows, self.columns, 2)
        sides = [np.linalg.norm(np.diff(grid, axis=axis), axis=2).ravel() for axis in (0, 1)]
        return float(np.median(np.concatenate(sides)))

    def _lens(
        self, corners: Sequence[NDArray[np.float32]], shape: tuple[int, ...]
    ) -> tuple[tuple[float, ...], tuple[float, ...]]:
        board = np.zeros((self.rows * self.columns, 3), np.float32)
        board[:, :2] = np.mgrid[: self.columns, : self.rows].T.reshape(-1, 2) * self.mm
        error, matrix, distortion, _, _ = cv2.calibrateCamera(
            [board] * len(corners), list(corners), (shape[1], shape[0]), np.eye(3), np.zeros(5)
        )
        if error > _SHARP_PX:
            return (), ()
        return tuple(map(float, matrix.ravel())), tuple(map(float, distortion.ravel()[:5]))
