"""Blobs from masks, and the region of interest in which they lie."""

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from mango_grader.line.observations import Blob, Box


class RegionOfInterest:
    """The part of a frame in which fruit are searched.

    Args:
        corners: (x, y) of its polygon, in pixels of the frame; none is the whole frame.
    """

    def __init__(self, corners: tuple[tuple[float, float], ...]) -> None:
        self._corners = corners
        self._outside = lru_cache(maxsize=4)(self._draw)

    def outside(self, shape: tuple[int, ...], factor: int = 1) -> NDArray[np.uint8] | None:
        """Return 1 for each pixel outside of it and 0 inside; None where nothing is outside.

        Args:
            shape: of the frame, reduced, rows and columns.
            factor: by which it is reduced.
        """
        return self._outside(shape[0], shape[1], factor) if self._corners else None

    def _draw(self, height: int, width: int, factor: int) -> NDArray[np.uint8]:
        outside = np.ones((height, width), np.uint8)
        cv2.fillPoly(outside, [np.round(np.asarray(self._corners) / factor).astype(np.int32)], 0)
        return outside


def framed(mask: NDArray[np.uint8], width: int = 1, value: int = 0) -> NDArray[np.uint8]:
    """Return a mask with a frame around it; `numpy.pad` takes twenty times as long for small ones.

    Args:
        mask: (h, w).
        width: of the frame, in pixels.
        value: of the frame's pixels.
    """
    return np.asarray(
        cv2.copyMakeBorder(mask, width, width, width, width, cv2.BORDER_CONSTANT, value=[value]), np.uint8
    )


def lies_inside(
    mask: NDArray[np.uint8], left: int, top: int, shape: tuple[int, ...], outside: NDArray[np.uint8] | None
) -> bool:
    """Return whether a mask touches neither the border of its frame nor that of the region of interest.

    Args:
        mask: (h, w) of 0 and 1.
        left: column at which it begins.
        top: row at which it begins.
        shape: of the frame, rows and columns.
        outside: the region of interest, as `RegionOfInterest.outside` returns it.
    """
    height, width = mask.shape
    if not (left > 0 and top > 0 and left + width < shape[1] and top + height < shape[0]):
        return False
    if outside is None:
        return True
    around = np.asarray(cv2.dilate(framed(mask), np.ones((3, 3), np.uint8)), np.uint8)
    return not (around & outside[top - 1 : top + height + 1, left - 1 : left + width + 1]).any()


def make_blob(mask: NDArray[np.bool_], left: int, top: int, complete: bool) -> Blob:
    """Return a blob whose box is as small as it can be.

    Args:
        mask: (h, w), its pixels, at least one.
        left: column of the frame at which the mask begins.
        top: row of the frame at which the mask begins.
        complete: whether the blob is whole.
    """
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    y0, y1, x0, x1 = int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1
    own = np.ascontiguousarray(mask[y0:y1, x0:x1])
    box = Box(left + x0, top + y0, left + x1, top + y1)
    moments = cv2.moments(own.view(np.uint8), binaryImage=True)
    x, y = moments["m10"] / moments["m00"], moments["m01"] / moments["m00"]
    return Blob(box, own, box.left + x, box.top + y, complete)


def in_order(blobs: list[Blob]) -> list[Blob]:
    """Return blobs from the left to the right of the frame."""
    return sorted(blobs, key=lambda blob: (blob.box.left, blob.box.top, blob.x, blob.y))
