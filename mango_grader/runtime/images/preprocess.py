"""The one preprocessing: of images that are cached for training, searched with, and graded."""

from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mango_grader.runtime.images.decode import Decoded, ImageSource, decode_with_warning, scaled

__all__ = ["ImageSource", "Prepared", "Preprocess", "one_colour"]

_FILTER = Image.Resampling.BILINEAR
_DRAFT_MARGIN = 2  # A JPEG is decoded at no less than twice the final size, so that the filter still averages.
_SAME = 4  # Grey levels: the noise of a covered camera after reduction stays below it.
_NEARLY_ALL, _OF_FEW = 0.99, 0.9


@dataclass(frozen=True)
class Prepared:
    """An image as a network takes it.

    Attributes:
        pixels: (height, width, 3) uint8 RGB.
        warning: why the image may not show what it should; None if there is no such reason.
    """

    pixels: NDArray[np.uint8]
    warning: str | None


def one_colour(pixels: NDArray[np.uint8]) -> str | None:
    """Return a warning if an image is practically one colour, else None.

    It is if 99 % of its pixels lie within 4 grey levels of the median in each channel.

    Args:
        pixels: (H, W, 3) uint8 RGB.
    """
    colours = pixels.reshape(-1, 3)
    # A few hundred pixels suffice for most images; all of them take longer than decoding.
    few = colours[:: (len(colours) // 256) | 1]
    if _same(few)[0] < _OF_FEW:
        return None
    share, (red, green, blue) = _same(colours)
    if share < _NEARLY_ALL:
        return None
    return f"practically one colour, red {red}, green {green}, blue {blue} of 255: is there anything in it?"


def _same(colours: NDArray[np.uint8]) -> tuple[float, list[int]]:
    """Return the share of `colours`, (N, 3), that are close to their median, and the median."""
    # As np.median, rounded down, but in a third of its time, which counts where an image takes few milliseconds.
    low, high = (len(colours) - 1) // 2, len(colours) // 2
    parted = np.partition(colours, (low, high), axis=0)
    middle = (parted[low].astype(np.int16) + parted[high]) // 2
    close = (np.abs(colours - middle) <= _SAME).all(axis=1)
    return float(close.mean()), middle.tolist()


@dataclass(frozen=True)
class Preprocess:
    """Fit any image into `height` × `width` pixels: upright, its shape kept, the rest filled with `fill` (RGB).

    Sizes change by Pillow's antialiased bilinear filter (a triangle as wide as the reduction), which is part of
    the format: other engines' filters differ by several grey levels.

    Attributes:
        height: of the network's input, in pixels, 1 or more.
        width: of the network's input, in pixels, 1 or more.
        rotate_portrait: whether to turn an image that is higher than wide by 90° counter-clockwise first (MNet §4).
        fill: RGB of the rest, each 0..255.

    Example:
        ```python
        pixels = Preprocess(height=96, width=128)("mango.jpg")
        assert pixels.shape == (96, 128, 3)
        ```
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
        """Return `source` as a network takes it: `decode`, then `fit`.

        Args:
            source: an image as a path, encoded bytes, a binary file, an image of Pillow's, or an array.
            exact: decode all pixels of a large JPEG, see `decode`.

        Returns:
            (height, width, 3) uint8 RGB.

        Raises:
            ImageError: with the reason, if `source` cannot be decoded.
        """
        return self.prepare(source, exact=exact).pixels

    def prepare(self, source: ImageSource, *, exact: bool = False) -> Prepared:
        """Return what a call returns, with a warning if the image may not show what it should."""
        decoded = self.decode(source, exact=exact)
        fitted = self.fit(decoded.image)
        warnings = [warning for warning in (decoded.warning, fitted.warning) if warning is not None]
        return Prepared(fitted.pixels, "; ".join(warnings) or None)

    def decode(self, source: ImageSource, *, exact: bool = False) -> Decoded:
        """Return `source` as an upright RGB image, of its own size or reduced as far as `fit` allows.

        A large encoded JPEG is decoded at 1/2, 1/4 or 1/8 of its size where that is at least twice what is needed
        (Pillow's `draft`), in training, too. It is much faster, and differs by some grey levels from the same image
        decoded beforehand.

        Args:
            source: an image as a path, encoded bytes, a binary file, an image of Pillow's, or an array.
            exact: decode all pixels, so that a path, its bytes and its decoded array give the same result. Parts of
                an image are cut from one that was decoded so.

        Raises:
            ImageError: with the reason, if `source` cannot be decoded.
        """
        return decode_with_warning(source, self.fill, None if exact else self._needed)

    def fit(self, image: Image.Image | NDArray[np.uint8]) -> Prepared:
        """Turn, resize and lay an upright RGB image on the fill.

        Args:
            image: decoded: an RGB image of Pillow's, or an array, usually (H, W, 3) uint8, that `decode` takes.

        Raises:
            ImageError: if an array has another shape or type, or no pixels.

        Example:
            Many crops of one frame, which is decoded once:

            ```python
            preprocess = Preprocess(height=96, width=128)
            frame = np.asarray(preprocess.decode("mango.jpg", exact=True).image)
            crops = [preprocess.fit(frame[:, left : left + 10]).pixels for left in (0, 10)]
            ```
        """
        if isinstance(image, np.ndarray):
            image = self.decode(image).image
        if self._turns(*image.size):
            image = image.transpose(Image.Transpose.ROTATE_90)
        size = scaled(*image.size, (self.width, self.height))
        if size != image.size:
            image = image.resize(size, _FILTER)
        canvas = self._ground.copy()
        left, top = (self.width - size[0]) // 2, (self.height - size[1]) // 2
        inside = np.asarray(image)
        canvas[top : top + size[1], left : left + size[0]] = inside
        return Prepared(canvas, one_colour(inside))

    @cached_property
    def _ground(self) -> NDArray[np.uint8]:
        """An image of nothing but `fill`; numpy copies it in a tenth of the time that it takes to fill one."""
        return np.full((self.height, self.width, 3), self.fill, np.uint8)

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
