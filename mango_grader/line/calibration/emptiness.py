"""Which frames show the empty belt: those with no colour, at any place, that other frames lack there."""

from collections.abc import Sequence
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import pdist

from mango_grader.line.finders.palette import PaletteFinder, PaletteSettings, reduced

_LEAST_EMPTY = 10  # images that look empty; fewer may be a chance
_LEAST = 24  # images; while fewer are taken, fruit hardly move
_BLOCKS = 8  # along each side of a frame
_CELLS = (32, 32, 8)  # of a* and b* (in steps of 4) and L* (in steps of 32), in OpenCV's 8-bit units
_PRESENT = 0.002  # share of the pixels of a place from which it has a colour
_OTHERS = 90  # percent of the frames that have the colours of the empty belt at a place; the rest may be spoiled
_STRANGE = 0.003  # share of an empty frame's pixels whose colour others may lack; one small fruit is more
_VARIES = 0.185  # how far frames of the empty belt differ at a place: share of its pixels, in nine pairs of ten

_ANY = PaletteSettings(((0.0, 0.0, 0.0, 1.0),))  # for the size at which frames are searched


def empty_frames(images: Sequence[NDArray[np.uint8]]) -> list[int]:
    """Return the places of the images that look like the empty belt; none where there are too few.

    What the empty belt shows at a place, almost all frames show there: fruit come and go, the belt stays. So that the
    fruit of a frame are not taken for belt, they have to move while the frames are taken, by their own length or more.

    Args:
        images: (H, W, 3) uint8 RGB, in their order, all of one size, of a belt that moves.

    Example:
        >>> belt = [np.full((48, 64, 3), (40, 60, 160), np.uint8) for _ in range(40)]
        >>> for n, image in enumerate(belt[12:]):
        ...     image[10:40, 2 * n : 2 * n + 3] = 220, 180, 60
        >>> empty_frames(belt) == list(range(12))
        True
    """
    if len(images) < _LEAST:
        return []
    labs = [_smoothed(image) for image in images]
    rows, columns = (np.linspace(0, size, _BLOCKS + 1).astype(int) for size in labs[0].shape[:2])
    strange = np.zeros(len(labs))
    chroma: list[NDArray[np.float32]] = []  # of all frames, at each place
    for top, bottom in pairwise(rows):
        for left, right in pairwise(columns):
            shares = np.stack([_shares(lab[top:bottom, left:right]) for lab in labs])
            lacking = ~_present(shares)
            amounts = shares.reshape(len(labs), -1) @ lacking.reshape(len(labs), -1).T.astype(np.float32)
            strange += np.percentile(amounts, _OTHERS, axis=1) / _BLOCKS**2
            chroma.append(np.stack([cv2.GaussianBlur(one.sum(axis=2), (0, 0), 1.5).ravel() for one in shares]))
    found = np.flatnonzero(strange <= _STRANGE)
    if len(found) < _LEAST_EMPTY:
        return []
    distances = np.stack([pdist(each[found], "cityblock") / 2 for each in chroma])
    distances -= np.median(distances, axis=0)  # drifting light changes all places alike
    varies = float(np.percentile(distances, 90, axis=1).max())
    return [int(place) for place in found] if varies <= _VARIES else []


def _smoothed(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the image as L*a*b*, reduced and without grain."""
    small = reduced(image, PaletteFinder(_ANY).factor(*image.shape[:2]))
    return np.asarray(cv2.cvtColor(cv2.blur(small, (3, 3)), cv2.COLOR_RGB2LAB), np.uint8)


def _shares(lab: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the share of the pixels in each cell."""
    block = np.ascontiguousarray(lab)
    counts = cv2.calcHist([block], [1, 2, 0], None, list(_CELLS), [64, 192, 64, 192, 0, 256])
    return np.asarray(counts / np.float32(max(counts.sum(), 1)), np.float32)


def _present(shares: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return the cells of (frames, *cells) that a frame has, and those beside them: light drifts a little."""
    present = shares >= _PRESENT
    for axis in (1, 2, 3):
        before, after = (
            tuple(cut if n == axis else slice(None) for n in range(4)) for cut in (slice(1, None), slice(-1))
        )
        wider = present.copy()
        wider[before] |= present[after]
        wider[after] |= present[before]
        present = wider
    return present
