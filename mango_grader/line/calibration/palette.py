"""The colours of a belt, learned from frames."""

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from mango_grader.errors import UsageError
from mango_grader.line.finders.colours import LIGHT_WEIGHT
from mango_grader.line.finders.palette import PaletteFinder, PaletteSettings, reduced

Colours = tuple[tuple[float, float, float, float], ...]
"""Colours of a belt, each as L*, a*, b* and its share of the pixels in percent."""
LEAST_THRESHOLD = 2.5
"""The noise of a good camera is below this threshold."""
SMALLEST = 0.04
"""Diameter of the smallest fruit, as a share of the frame's shorter side, where nothing is known of its size."""

_RADIUS = 2.0  # of the colours that one of the palette stands for, in units of chroma
_COVERED = 0.985  # of the pixels; the rest is dirt and noise that is smaller than any fruit
_MOST_COLOURS = 96
_FRAMES = 24  # that are looked at
_DIRT = 1.2  # fruit is larger by this factor than what lies on the empty belt
_LARGEST_THRESHOLD = 8.0
_WEIGHTS = np.array([LIGHT_WEIGHT, 1, 1])


def learn_palette(frames: Sequence[NDArray[np.uint8]]) -> PaletteSettings:
    """Return settings of the finder, learned from the empty belt.

    Half of the frames give the colours, the others the threshold: at it, nothing is found in them.

    Args:
        frames: (H, W, 3) uint8 RGB, in their order, without any fruit; one is enough, but a belt that has moved by its
            own pattern shows all its colours.

    Raises:
        UsageError: there is no frame.

    Example:
        >>> belt = np.full((48, 64, 3), (40, 60, 160), np.uint8)
        >>> learn_palette([belt]).colours
        ((30.4, 28.5, -55.5, 100.0),)
    """
    if not frames:
        raise UsageError("no frame of the empty belt to learn its colours from")
    chosen = evenly(frames)
    plain = PaletteSettings(((0.0, 0.0, 0.0, 1.0),))
    factor = PaletteFinder(plain).factor(*chosen[0].shape[:2])
    settings = replace(plain, colours=palette_of([reduced(image, factor) for image in chosen[::2]]))
    return _without_finds(settings, chosen[1::2] or chosen)


def evenly(frames: Sequence[NDArray[np.uint8]]) -> list[NDArray[np.uint8]]:
    """Return as many frames as are looked at, evenly over all of them."""
    return [frames[n] for n in np.unique(np.linspace(0, len(frames) - 1, _FRAMES).astype(int))]


def _without_finds(settings: PaletteSettings, frames: Sequence[NDArray[np.uint8]]) -> PaletteSettings:
    """Return settings with which nothing is found on the empty belt: small things by their size, others by colour."""
    finder = PaletteFinder(settings)
    distances = [finder.distances(reduced(image, finder.factor(*image.shape[:2]))) for image in frames]
    least = SMALLEST * min(frames[0].shape[:2])
    settings = replace(
        settings,
        threshold=max(LEAST_THRESHOLD, 1.3 * float(np.percentile(distances, 99))),
        min_diameter=round(least, 1),
    )
    while (largest := _largest_find(settings, frames)) > 0:
        if _DIRT * largest <= 3 * least:
            settings = replace(settings, min_diameter=round(_DIRT * largest, 1))
        elif settings.threshold < _LARGEST_THRESHOLD:
            settings = replace(settings, threshold=1.15 * settings.threshold)
        else:
            break
    return replace(settings, threshold=round(settings.threshold, 2))


def _largest_find(settings: PaletteSettings, frames: Sequence[NDArray[np.uint8]]) -> float:
    """Return the diameter of the largest find that does not reach in from the border, as a clamp may; 0 for none."""
    finder = PaletteFinder(settings)
    areas = [blob.area for image in frames for blob in finder.find(image) if blob.complete]
    return float(np.sqrt(max(areas, default=0) * 4 / np.pi))


def palette_of(images: Sequence[NDArray[np.uint8]]) -> Colours:
    """Return the fewest colours, about, that stand for almost all pixels: L*, a*, b* and share in percent of each.

    Args:
        images: (H, W, 3) uint8 RGB, as `reduced` returns them.
    """
    pixels = np.concatenate([cv2.cvtColor(image, cv2.COLOR_RGB2LAB).reshape(-1, 3) for image in images]) // (4, 2, 2)
    cells, counts = np.unique(pixels.astype(np.int64) @ (1 << 16, 1 << 8, 1), return_counts=True)
    corners = np.stack([cells >> 16, cells >> 8 & 255, cells & 255], axis=1) * (4, 2, 2)
    colours = (corners + np.array([1.5, 0.5 - 128, 0.5 - 128])) / (2.55, 1, 1)
    shares = counts / counts.sum()
    order = np.argsort(-shares, kind="stable")
    order = order[: int(np.searchsorted(np.cumsum(shares[order]), _COVERED + 0.01)) + 1]
    colours, shares = colours[order], shares[order]
    near = _squared(colours, colours) <= _RADIUS**2
    left = shares.copy()
    chosen: list[NDArray[np.float64]] = []
    while len(chosen) < _MOST_COLOURS and left.sum() > 1 - _COVERED:
        around = near[int((near @ left).argmax())]
        chosen.append(np.average(colours, axis=0, weights=left * around))
        left[around] = 0
    palette = np.asarray(chosen)
    nearest = _squared(colours, palette).argmin(axis=1)
    weights = np.bincount(nearest, shares, len(palette)) * 100
    return tuple(
        (round(float(light), 1), round(float(a), 1), round(float(b), 1), max(round(float(share), 2), 0.01))
        for (light, a, b), share in zip(palette, weights, strict=True)
    )


def _squared(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the squared distances between colours, (n, m)."""
    return np.asarray(cdist(one * _WEIGHTS, other * _WEIGHTS, "sqeuclidean"))
