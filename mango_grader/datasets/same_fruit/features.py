"""Local features of an image: SIFT (Lowe 2004), described as RootSIFT (Arandjelović and Zisserman 2012)."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mango_grader.runtime.images.decode import decode

__all__ = ["MIDDLE", "MOST", "SIDE", "Features", "find_features", "unit"]

SIDE = 256
"""Longer side, in pixels, of the image in which features are found; smaller images keep their size."""

MOST = 400
"""So many of an image's strongest features are kept."""

MIDDLE = 0.45
"""Features count inside an ellipse with these half axes, in shares of the image: there lies the fruit."""

_CONTRAST = 0.01  # A quarter of Lowe's: the skin of a fruit is smooth.
_LEVELS = 512  # Values of a RootSIFT descriptor are nearly all below a half.


@dataclass(frozen=True, eq=False)
class Features:
    """The local features of one image, strongest first.

    Attributes:
        places: float32 (F, 2), x and y, where the longer side of the image is `SIDE`.
        descriptors: uint8 (F, 128), of length 512.
    """

    places: NDArray[np.float32]
    descriptors: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.places)

    def only(self, kept: NDArray[np.bool_] | NDArray[np.int64]) -> "Features":
        """Return some of the features.

        Args:
            kept: bool (F,), which; or their indices.
        """
        return Features(self.places[kept], self.descriptors[kept])


def unit(descriptors: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return descriptors at length 1, so that a product of two is their likeness: 1 for equal ones.

    Args:
        descriptors: (F, 128).
    """
    values = descriptors.astype(np.float32)
    return np.asarray(values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-6), np.float32)


def find_features(path: Path) -> Features:
    """Return the features of an image.

    Args:
        path: of the file.

    Raises:
        ImageError: it cannot be decoded.
    """
    image = decode(path, needed=_fitted).convert("L")
    image = image.resize(_fitted(*image.size), Image.Resampling.BOX)

    sift = cv2.SIFT.create(contrastThreshold=_CONTRAST)
    pixels = np.asarray(image)
    points = _strongest(sift.detect(pixels, None), image.size)
    if not points:
        return Features(np.empty((0, 2), np.float32), np.empty((0, 128), np.uint8))
    kept, descriptors = sift.compute(pixels, points)
    root = np.sqrt(descriptors / np.maximum(descriptors.sum(1, keepdims=True), 1e-6))
    places = np.array([point.pt for point in kept], np.float32) * np.float32(SIDE / max(image.size))
    return Features(places, np.minimum(np.round(root * _LEVELS), 255).astype(np.uint8))


def _strongest(points: Sequence[cv2.KeyPoint], size: tuple[int, int]) -> list[cv2.KeyPoint]:
    middle = [one for one in points if np.hypot(one.pt[0] / size[0] - 0.5, one.pt[1] / size[1] - 0.5) < MIDDLE]
    return sorted(middle, key=lambda one: (-one.response, one.pt, one.angle))[:MOST]


def _fitted(width: int, height: int) -> tuple[int, int]:
    scale = min(1.0, SIDE / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))
