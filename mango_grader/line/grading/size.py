"""The size of a fruit, from its mask."""

import cv2
import numpy as np
from numpy.typing import NDArray


def length_and_width(mask: NDArray[np.bool_]) -> tuple[float, float]:
    """Return the longer and the shorter side, in pixels, of the smallest rectangle at any angle around a mask.

    Args:
        mask: (h, w) bool, with one or more pixels.

    Example:
        >>> length_and_width(np.ones((20, 50), bool))
        (50.0, 20.0)
    """
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    # Between the centres of the outermost pixels; half a pixel is missing on each side.
    sides = [side + 1.0 for side in cv2.minAreaRect(np.concatenate(contours))[1]]
    return float(max(sides)), float(min(sides))
