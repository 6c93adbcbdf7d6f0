"""The texture of the belt in a reduced image: how well two frames fit each other at every shift along the belt."""

import base64
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mango_grader.line.belt import Axes
from mango_grader.line.observations import Box

BANDS = 16
"""Number of strips across the belt to which an image is reduced."""
_LONGEST = 480  # pixels along the belt of a reduced image
_SETTLED = 0.1  # most that one frame changes the static background
_MASKED = 0  # grey level of what is not belt; others are at least 1


class BeltTexture:
    """Compares the belt of a frame with that of the frame before.

    What does not move with the belt (rails, lamps, dirt on the lens) is learned while the belt moves and taken out: it
    would say that the belt stands still.

    Args:
        axes: of the camera and the belt.
    """

    def __init__(self, axes: Axes) -> None:
        self._axes = axes
        self._shape = (BANDS, min(_LONGEST, axes.length))
        self._static: NDArray[np.float32] | None = None
        self._before: NDArray[np.uint8] | None = None

    @property
    def scale(self) -> float:
        """Pixels of a frame per pixel of a reduced image, along the belt."""
        return self._axes.length / self._shape[1]

    def reduce(self, image: NDArray[np.uint8], boxes: Sequence[Box]) -> NDArray[np.uint8]:
        """Return a frame as bands, (bands, pixels along the belt) uint8; pixels in boxes are 0.

        Args:
            image: (H, W, 3) uint8 RGB.
            boxes: of what lies on the belt.
        """
        horizontal = self._axes.belt.direction in ("right", "left")
        size = self._shape[::-1] if horizontal else self._shape
        small = cv2.resize(image[:, :, 1], size, interpolation=cv2.INTER_AREA)
        small = np.maximum(small, 1)
        rows, columns = small.shape[0] / image.shape[0], small.shape[1] / image.shape[1]
        for box in boxes:
            top, bottom = int(box.top * rows), int(np.ceil(box.bottom * rows))
            left, right = int(box.left * columns), int(np.ceil(box.right * columns))
            small[top:bottom, left:right] = _MASKED
        bands = small if horizontal else small.T
        if self._axes.belt.direction in ("left", "up"):
            bands = bands[:, ::-1]
        return np.ascontiguousarray(bands, np.uint8)

    def compare(self, bands: NDArray[np.uint8]) -> NDArray[np.float64] | None:
        """Return how well a frame fits the one before at each shift; None if there was none.

        Args:
            bands: the frame as `reduce` returns it.

        Returns:
            Normalised correlations from -1 to 1, of the shifts from -n / 2 to n / 2 reduced pixels along the belt.
        """
        if self._before is None:
            return None
        before, after = self._moving(self._before), self._moving(bands)
        known = (self._before != _MASKED).astype(np.float64), (bands != _MASKED).astype(np.float64)
        product = _correlate(before, after)
        energy = _correlate(before**2, known[1]) * _correlate(known[0], after**2)
        scores = product / np.sqrt(np.maximum(energy, 1e-6 * self._shape[0] * self._shape[1]))
        reach = self._shape[1] // 2
        return np.asarray(np.clip(scores[len(scores) // 2 - reach : len(scores) // 2 + reach + 1], -1.0, 1.0))

    def learn(self, bands: NDArray[np.uint8], advance: float) -> None:
        """Take in a frame.

        Args:
            bands: the frame as `reduce` returns it.
            advance: pixels by which the belt has moved since the frame before.
        """
        values = bands.astype(np.float32)
        if self._static is None:
            self._static = _smooth(values)
        elif advance:
            weight = min(_SETTLED, abs(advance) / self._axes.length)
            self._static += np.where(bands != _MASKED, np.float32(weight) * (values - self._static), np.float32(0))
        self._before = bands

    def state(self) -> dict[str, Any]:
        """Return what it has learned as plain JSON values."""
        return {name: _encode(array) for name, array in (("static", self._static), ("before", self._before))}

    def restore(self, state: dict[str, Any]) -> None:
        """Take over what `state` returned."""
        static, before = state["static"], state["before"]
        self._static = None if static is None else self._decode(static, np.float32)
        self._before = None if before is None else self._decode(before, np.uint8)

    def _decode(self, text: str, kind: type) -> NDArray[Any]:
        return np.frombuffer(base64.b64decode(text), kind).reshape(self._shape).copy()

    def _moving(self, bands: NDArray[np.uint8]) -> NDArray[np.float64]:
        assert self._static is not None
        rest = bands.astype(np.float64) - self._static
        known = bands != _MASKED
        # Light that changes between two frames is no texture.
        means = np.sum(rest, 1, where=known) / np.maximum(np.count_nonzero(known, 1), 1)
        return np.where(known, rest - means[:, None], 0.0)


def _smooth(values: NDArray[np.float32]) -> NDArray[np.float32]:
    smooth = cv2.blur(values, (values.shape[1] // 6 * 2 + 1, 1), borderType=cv2.BORDER_REFLECT)
    return np.asarray(smooth, np.float32)


def _correlate(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the sum over bands of first(x) second(x + shift), for shifts from 1 - n to n - 1."""
    count = first.shape[1]
    size = 1 << (2 * count - 1).bit_length()
    product = np.conj(np.fft.rfft(first, size, axis=1)) * np.fft.rfft(second, size, axis=1)
    shifted = np.fft.irfft(product.sum(0), size)
    return np.concatenate([shifted[size - count + 1 :], shifted[:count]])


def _encode(array: NDArray[Any] | None) -> str | None:
    return None if array is None else base64.b64encode(array.tobytes()).decode("ascii")
