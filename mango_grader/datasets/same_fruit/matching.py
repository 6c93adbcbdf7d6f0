"""Whether two images show the same fruit: enough of their features agree on one affine motion."""

import cv2
import numpy as np
from numpy.typing import NDArray

from mango_grader.datasets.same_fruit.features import SIDE, Features, unit

__all__ = ["ENOUGH", "agreeing", "find_matches", "still"]

ENOUGH = 12
"""Inliers that make two images show the same fruit."""

_RATIO = 0.8  # Lowe's: the best match is this much nearer than the second best.
_REACH = 5.0  # pixels between a feature and where the motion puts it
_STILL = 0.02 * SIDE  # pixels, within which a feature has not moved
_LEAST_SPREAD = 4.0  # pixels: inliers on a line, such as those of an edge, are no fruit
_STRETCH = 2.5  # how much more the motion may stretch one direction than the other
_ZOOM = 5.0


def find_matches(one: Features, two: Features) -> NDArray[np.int64]:
    """Return which features of two images match: each is the other's nearest, by Lowe's ratio.

    Args:
        one: features of one image.
        two: features of another.

    Returns:
        int64 (M, 2), indices in one and in two.
    """
    if min(len(one), len(two)) < 2:
        return np.empty((0, 2), np.int64)
    alike = unit(one.descriptors) @ unit(two.descriptors).T
    rows = np.arange(len(one))
    best = alike.argmax(1)
    mutual = alike.argmax(0)[best] == rows
    top = alike[rows, best]
    alike[rows, best] = -1.0
    clear = 1 - top < _RATIO**2 * (1 - alike.max(1))
    first = np.flatnonzero(mutual & clear)
    return np.stack([first, best[first]], axis=1)


def still(one: Features, two: Features, matches: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return which matches lie at the same pixel in both images, bool (M,).

    Args:
        one: features of one image.
        two: features of another.
        matches: int64 (M, 2).
    """
    moved = np.abs(one.places[matches[:, 0]] - two.places[matches[:, 1]])
    return np.asarray((moved < _STILL).all(1))


def agreeing(one: Features, two: Features, matches: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the matches by which two images show the same fruit, int64 (K, 2); (0, 2) if they do not.

    RANSAC fits an affine motion, with random numbers of its own that are the same each time.

    Args:
        one: features of one image.
        two: features of another.
        matches: int64 (M, 2).
    """
    nothing = np.empty((0, 2), np.int64)
    matches = _once(one, two, matches)
    if len(matches) < ENOUGH:
        return nothing
    first, second = one.places[matches[:, 0]], two.places[matches[:, 1]]
    motion, inliers = cv2.estimateAffine2D(
        first, second, method=cv2.RANSAC, ransacReprojThreshold=_REACH, maxIters=2000, confidence=0.995
    )
    if motion is None or not _plausible(np.asarray(motion[:, :2], np.float64)):
        return nothing
    kept = inliers.ravel() > 0
    if kept.sum() < ENOUGH or min(_spread(first[kept]), _spread(second[kept])) < _LEAST_SPREAD:
        return nothing
    return matches[kept]


def _once(one: Features, two: Features, matches: NDArray[np.int64]) -> NDArray[np.int64]:
    """Keep one match of each place: SIFT describes a place once for each of its directions."""
    for side, image in enumerate((one, two)):
        _, kept = np.unique(np.round(image.places[matches[:, side]]), axis=0, return_index=True)
        matches = matches[np.sort(kept)]
    return matches


def _plausible(motion: NDArray[np.float64]) -> bool:
    large, small = np.linalg.svd(motion, compute_uv=False)
    return bool(np.linalg.det(motion) > 0 and large < _STRETCH * small and small > 1 / _ZOOM and large < _ZOOM)


def _spread(places: NDArray[np.float32]) -> float:
    """Return the standard deviation along the direction in which the places vary least, in pixels."""
    return float(np.sqrt(max(0.0, np.linalg.eigvalsh(np.cov(places.T))[0])))
