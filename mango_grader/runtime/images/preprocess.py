"""THE preprocessing: what training caches, search sees, a bundle declares and the sorting line does."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mango_grader.runtime.images.decode import ImageSource, examine, scaled

__all__ = ["ImageSource", "Prepared", "Preprocess", "one_colour"]

_FILTER = Image.Resampling.BILINEAR
_DRAFT_MARGIN = 2  # A JPEG is decoded at no less than twice the final size, so that the filter still averages.
_SAME = 4  # Grey levels: the noise of a covered camera after reduction stays below it.
_NEARLY_ALL, _OF_FEW = 0.99, 0.9


@dataclass(frozen=True)
class Prepared:
    """An image as a network takes it: `pixels`, (height, width, 3) uint8 RGB, and what is suspicious about it."""

    pixels: NDArray[np.uint8]
    warning: str | None


def one_colour(pixels: NDArray[np.uint8]) -> str | None:
    """Return a warning if `pixels`, (H, W, 3) uint8 RGB, are practically one colour, else None.

    They are if 99 % of them lie within 4 grey levels of the median in each channel.
    """
    colours = pixels.reshape(-1, 3)
    # A few hundred pixels already tell most images; all of them take longer than decoding.
    few = colours[:: (len(colours) // 256) | 1]
    if _same(few)[0] < _OF_FEW:
        return None
    share, (red, green, blue) = _same(colours)
    if share < _NEARLY_ALL:
        return None
    return f"practically one colour, red {red}, green {green}, blue {blue} of 255: is there anything in it?"


def _same(colours: NDArray[np.uint8]) -> tuple[float, list[int]]:
    """Return the share of `colours`, (N, 3), that are close to their median, and the median."""
    middle = np.median(colours, axis=0).astype(np.int16)
    close = (np.abs(colours - middle) <= _SAME).all(axis=1)
    return float(close.mean()), middle.tolist()


@dataclass(frozen=True)
class Preprocess:
    """Fit any image into `height` × `width` pixels: upright, its shape kept, the rest filled with `fill` (RGB).

    Sizes change by Pillow's antialiased bilinear filter (a triangle as wide as the reduction), which is part of
    the format: other engines' filters differ by several grey levels. `rotate_portrait` turns an image that is
    higher than wide by 90° counter-clockwise first (MNet §4).
    """

    height: int
    width: int
    rotate_portrait: bool = False
    fill: tuple[int, int, int] = (114, 114, 114)

    def __post_init__(self) -> None:
        if self.height < 1 or self.width < 1:
            raise ValueError(f"height and width must be positive, not {self.height} and {self.width}")
        if len(self.fill) != 3 or not all(0 <= value <= 255 for value in self.fill):
            raise ValueError(f"fill must be three values in 0..255, not {self.fill}")

    def __call__(self, source: ImageSource, *, exact: bool = False) -> NDArray[np.uint8]:
        """Return `source` as (height, width, 3) uint8 RGB; raise `ImageError` with the reason if it cannot be.

        A large encoded JPEG is decoded at 1/2, 1/4 or 1/8 of its size where that is at least twice what is needed
        (Pillow's `draft`), in training, too. It is much faster, and differs by some grey levels from the same image
        decoded beforehand. `exact` decodes all pixels, so that a path, its bytes and its decoded array give the
        same result.
        """
        return self.prepare(source, exact=exact).pixels

    def prepare(self, source: ImageSource, *, exact: bool = False) -> Prepared:
        """Return the pixels of `source` with a warning, if there is one; arguments and errors are those of a call."""
        decoded = examine(source, self.fill, None if exact else self._needed)
        image = decoded.image
        if self._turns(*image.size):
            image = image.transpose(Image.Transpose.ROTATE_90)
        size = scaled(*image.size, (self.width, self.height))
        if size != image.size:
            image = image.resize(size, _FILTER)
        canvas = np.empty((self.height, self.width, 3), np.uint8)
        canvas[:] = self.fill
        left, top = (self.width - size[0]) // 2, (self.height - size[1]) // 2
        inside = np.asarray(image)
        canvas[top : top + size[1], left : left + size[0]] = inside
        doubts = [doubt for doubt in (decoded.warning, one_colour(inside)) if doubt is not None]
        return Prepared(canvas, "; ".join(doubts) or None)

    def _turns(self, width: int, height: int) -> bool:
        return self.rotate_portrait and height > width

    def _needed(self, width: int, height: int) -> tuple[int, int]:
        turns = self._turns(width, height)
        box = (self.height, self.width) if turns else (self.width, self.height)
        fitted = scaled(width, height, box)
        return fitted[0] * _DRAFT_MARGIN, fitted[1] * _DRAFT_MARGIN

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self) | {"fill": list(self.fill)}
