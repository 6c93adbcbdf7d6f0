"""The colours of a belt without a frame that is empty: what repeats along the belt, or what lies at the margins."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mango_grader.errors import UsageError
from mango_grader.line.calibration.palette import LEAST_THRESHOLD, SMALLEST, Colours, evenly, palette_of
from mango_grader.line.finders.palette import PaletteFinder, PaletteSettings, reduced

_ENOUGH = 6  # frames in which the belt repeats; fewer are looked at as stills
_BLOCKS = 8  # along each side of a frame
_SEEN = 0.6  # share of the frames in which a colour of the belt is seen at a place
_PRESENT = 0.004  # share of the pixels of a place that count as seen
_MARGIN = 0.04  # of a still, as a share of its shorter side
_CELLS = (32, 32, 16)  # of a* and b* (up to 32, in steps of 2) and L* (in steps of 16), in OpenCV's 8-bit units
_SMALLER = 0.45  # diameter of the smallest fruit, as a share of that of the large ones

_ANY = PaletteSettings(((0.0, 0.0, 0.0, 1.0),))  # for the size at which frames are searched
_Side = Callable[[NDArray[Any], int], NDArray[Any]]
_SIDES: tuple[_Side, ...] = (  # top, left, bottom, right
    lambda image, width: image[:width],
    lambda image, width: image[:, :width],
    lambda image, width: image[-width:],
    lambda image, width: image[:, -width:],
)

Masks = list[NDArray[np.bool_]]


@dataclass(frozen=True)
class PaletteEstimate:
    """Settings of the finder that were learned without an empty frame.

    Attributes:
        settings: of the finder.
        sureness: from 0 to 1, how much of the fruit is the same with what each half of the evidence says alone.
        how: they were learned, in words.
    """

    settings: PaletteSettings
    sureness: float
    how: str


def estimate_palette(frames: Sequence[NDArray[np.uint8]]) -> PaletteEstimate:
    """Return settings of the finder, learned from frames with fruit on the belt.

    With six frames or more, the belt's colours are those that are seen at the same place again and again, while fruit
    come and go; the frames should show different fruit, so that they are best taken over a minute. With fewer frames,
    they are the colours of the margins of the frames, on at least two sides of them.

    Args:
        frames: (H, W, 3) uint8 RGB, in their order, all of one size.

    Raises:
        UsageError: there is no frame, or frames differ in size.

    Example:
        >>> still = np.full((90, 120, 3), (30, 30, 34), np.uint8)
        >>> still[20:60, 40:90] = 220, 180, 60
        >>> estimate = estimate_palette([still])
        >>> estimate.how, len(PaletteFinder(estimate.settings).find(still))
        ('from the margins of 1 frame', 1)
    """
    if not frames:
        raise UsageError("no frame to learn the belt's colours from")
    if len({frame.shape for frame in frames}) > 1:
        raise UsageError("the frames differ in size; learn the belt's colours from frames of one camera")
    images = [_small(frame) for frame in evenly(frames)]
    count = len(images)
    if count >= _ENOUGH:
        belts, how = _repeating(images), f"from what repeats in {count} frames"
        halves = [(images[start::2], _repeating(images[start::2])) for start in (0, 1)]
    else:
        belts, how = _margins(images, _SIDES, 2), f"from the margins of {count} frame{'s' * (count > 1)}"
        halves = [(images, _margins(images, sides, 1)) for sides in (_SIDES[:2], _SIDES[2:])]
    settings = _settings(images, belts)
    finders = [PaletteFinder(replace(settings, colours=_colours(*half))) for half in halves]
    settings = replace(settings, min_diameter=_smallest(PaletteFinder(settings), evenly(frames)))
    return PaletteEstimate(settings, round(_agreement(finders, images), 3), how)


def _small(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return reduced(frame, PaletteFinder(_ANY).factor(*frame.shape[:2]))


def _colours(images: Sequence[NDArray[np.uint8]], belts: Masks) -> Colours:
    """Return the palette of the pixels that are belt."""
    return palette_of([image[belt][None] for image, belt in zip(images, belts, strict=True)])


def _settings(images: Sequence[NDArray[np.uint8]], belts: Masks) -> PaletteSettings:
    """Return settings whose threshold lies well below the distance that divides fruit from belt best."""
    settings = PaletteSettings(_colours(images, belts))
    finder = PaletteFinder(settings)
    distances = [finder.distances(image) for image in images]
    levels = np.concatenate([np.minimum(each * 4, 255).astype(np.uint8).ravel() for each in distances])
    dividing, _ = cv2.threshold(levels, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    of_belt = np.concatenate([each[belt] for each, belt in zip(distances, belts, strict=True)])
    noise = 1.3 * float(np.percentile(of_belt, 99))
    return replace(settings, threshold=round(float(np.clip(max(dividing / 8, noise), LEAST_THRESHOLD, 12)), 2))


def _smallest(finder: PaletteFinder, frames: Sequence[NDArray[np.uint8]]) -> float:
    """Return the diameter below which things are no fruit, in pixels."""
    areas = [[blob.area for blob in finder.find(frame) if blob.complete] for frame in frames]
    large = [float(np.percentile(each, 75, method="higher")) for each in areas if each]
    if not large:
        return round(SMALLEST * float(min(frames[0].shape[:2])), 1)
    return round(_SMALLER * math.sqrt(float(np.median(large)) * 4 / math.pi), 1)


def _agreement(finders: Sequence[PaletteFinder], images: Sequence[NDArray[np.uint8]]) -> float:
    """Return the share of what either finder says is fruit that both say is; 0 where nothing is."""
    both = either = 0
    for image in images:
        one, other = (finder.distances(image) > finder.settings.threshold for finder in finders)
        both += int(np.count_nonzero(one & other))
        either += int(np.count_nonzero(one | other))
    return both / either if either else 0.0


def _cells(image: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return the number of the cell that the colour of each pixel lies in, (H, W)."""
    lab = cv2.cvtColor(image, cv2.COLOR_RGB2LAB).astype(np.int64)
    a, b = (np.clip((lab[..., channel] - 96) // 2, 0, 31) for channel in (1, 2))
    return (a * 32 + b) * 16 + lab[..., 0] // 16


def _shares(cells: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return the share of the pixels that lie in each cell or beside it."""
    counts = np.bincount(cells.ravel(), minlength=int(np.prod(_CELLS))).reshape(_CELLS).astype(np.float32)
    around = np.asarray(cv2.boxFilter(counts, -1, (3, 3), normalize=False, borderType=cv2.BORDER_CONSTANT), np.float32)
    shares = around.copy()
    shares[..., 1:] += around[..., :-1]
    shares[..., :-1] += around[..., 1:]
    return shares.ravel() / np.float32(max(cells.size, 1))


def _repeating(images: Sequence[NDArray[np.uint8]]) -> Masks:
    """Return the pixels whose colour is seen at their place in most frames."""
    cells = [_cells(image) for image in images]
    belts = [np.zeros(each.shape, bool) for each in cells]
    rows, columns = (np.linspace(0, size, _BLOCKS + 1).astype(int) for size in cells[0].shape)
    for top, bottom in pairwise(rows):
        for left, right in pairwise(columns):
            seen = np.zeros(int(np.prod(_CELLS)), int)
            for each in cells:
                seen += _shares(each[top:bottom, left:right]) >= _PRESENT
            usual = seen >= _SEEN * len(images)
            for belt, each in zip(belts, cells, strict=True):
                belt[top:bottom, left:right] = usual[each[top:bottom, left:right]]
    return belts


def _margins(images: Sequence[NDArray[np.uint8]], sides: Sequence[_Side], least: int) -> Masks:
    """Return the pixels of the margins whose colour is seen on some sides of the frames, on so many at least."""
    cells = [_cells(image) for image in images]
    width = max(1, round(_MARGIN * min(cells[0].shape)))
    strips = [[side(each, width) for each in cells] for side in sides]
    shares = [_shares(np.concatenate([one.ravel() for one in strip])) for strip in strips]
    seen = np.count_nonzero(np.stack(shares) >= _PRESENT, axis=0)
    belts = [np.zeros(each.shape, bool) for each in cells]
    for side, strip in zip(sides, strips, strict=True):
        for belt, one in zip(belts, strip, strict=True):
            side(belt, width)[...] = seen[one] >= least
    return belts
