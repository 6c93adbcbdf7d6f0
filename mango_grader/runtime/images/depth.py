"""Reduces deep integers and floats to 8 bits, by the range of values that their file declares.

Without a declaration, the full range is assumed, but only if the brightest value reaches a sixteenth of it: 10- and
12-bit values in 16 bits, which would look black, are refused with the reason. If it reaches no more than a quarter, the
image gets a warning.
"""

import math
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mango_grader.errors import ImageError

__all__ = ["Depth", "Reopen", "depth_of", "eight_bits", "from_integers"]

Reopen = Callable[[], AbstractContextManager[Image.Image]]

_WHITE = 0xFFFF
_FLOAT_WHITES = (1, 255, _WHITE)
_LEAST, _BRIGHT = 1 / 16, 1 / 4  # Of white.
_ADVICE = "save it in 8 bits, or declare its range (TIFF: SMaxSampleValue, PNG: sBIT)"

_BITS, _PHOTOMETRIC, _MAX, _PLANES, _FORMAT, _S_MIN, _S_MAX = 258, 262, 281, 284, 339, 340, 341  # TIFF tags.

# Pillow keeps the upper bytes of 16-bit channels. Read in the other byte order, the same file gives the lower ones.
_OTHER_ORDER = {f"{mode};16B": f"{mode};16L" for mode in ("RGB", "RGBA", "RGBX", "R", "G", "B", "A")}
_OTHER_ORDER |= {low: high for high, low in _OTHER_ORDER.items()}


@dataclass(frozen=True)
class Depth:
    """The range of values that a file declares.

    Attributes:
        low: value of black, unless pixels contradict it.
        high: value of white, unless pixels contradict it; None if none is declared.
        bits: PNG's sBIT, the number of bits that values had before they were, or should have been, scaled to 16.
        inverted: whether 0 is white.
        upper_bytes: whether channels have 16 bits, of which Pillow keeps the upper 8.
        rounded: whether Pillow keeps the nearest 8 bits instead.
        container: number of bits of the largest value that the type of the values can hold.
    """

    low: float = 0.0
    high: float | None = None
    bits: int | None = None
    inverted: bool = False
    upper_bytes: bool = False
    rounded: bool = False
    container: int = 16

    def needs_lower_bytes(self, upper: NDArray[np.uint8]) -> bool:
        """Return whether the upper bytes of the channels, (H, W, 3 or 4), do not suffice to scale them."""
        if self.bits is not None:
            return int(upper[:, :, :3].max()) <= ((1 << self.bits) - 1) >> 8
        return self.high is not None


def depth_of(image: Image.Image) -> Depth:
    """Return the range that an image file declares; none for images made in memory.

    Channels of 16 bits in separate planes, which Pillow would take for 8, are corrected.

    Args:
        image: opened and not yet loaded.
    """
    _set_planes_right(image)
    mode = _raw_mode(image)
    deep = ";16" in mode and image.mode in ("RGB", "RGBA", "CMYK")
    if image.format == "TIFF":
        return _of_tiff(image, deep)
    if image.format == "PNG" and (deep or image.mode.startswith("I")):
        return Depth(bits=_significant_bits(image), upper_bytes=deep)
    if image.format == "PPM" and image.mode != "F":
        maximum = _maximum(image)  # Pillow has scaled the values by it.
        deep = image.mode == "RGB" and maximum == _WHITE
        return Depth(high=None if maximum == _WHITE else _WHITE, upper_bytes=deep, rounded=True)
    if image.format == "JPEG2000":  # Pillow has scaled the values by their precision.
        return Depth(upper_bytes=image.mode in ("RGB", "RGBA") and _precision(image) == 16, rounded=True)
    return Depth()


def eight_bits(image: Image.Image, depth: Depth, reopen: Reopen | None) -> tuple[Image.Image, str | None]:
    """Return an image in 8 bits a channel, with a warning if its range is doubtful.

    Args:
        image: loaded.
        depth: of its file.
        reopen: opens its file once more, which channels of declared depth need; None if there is no file.

    Raises:
        ImageError: if the range is unknown.
    """
    if image.mode.startswith("I"):  # "I;16…", and "I" for 16-bit PGM.
        pixels, warning = from_integers(np.asarray(image), depth)
        return Image.fromarray(pixels), warning
    if image.mode == "F":
        pixels, warning = _from_floats(np.asarray(image), depth)
        return Image.fromarray(pixels), warning
    if not depth.upper_bytes:
        return image, None
    upper = np.asarray(image)
    if not depth.needs_lower_bytes(upper):
        return image, None if depth.bits is not None else _from_upper_bytes(upper, depth.rounded)
    if reopen is None:
        raise ImageError("16-bit channels with a declared depth; give the path or the bytes of the file")
    with reopen() as again:
        pixels, warning = _from_channels(_whole_values(again, upper), depth)
    return Image.fromarray(pixels), warning


def from_integers(values: NDArray[Any], depth: Depth) -> tuple[NDArray[np.uint8], str | None]:
    """Return integers of any shape as 8 bits, with a warning, as `eight_bits` does.

    Args:
        values: of all pixels.
        depth: of their file.
    """
    darkest, brightest = int(values.min()), int(values.max())
    if depth.bits is not None:
        # A correct writer has scaled the values to 16 bits; one that did not left all of them within those bits.
        step = 1 << (16 - depth.bits)
        unscaled = brightest < 1 << depth.bits and bool((values % step).any())
        return _reduced(values, depth.bits if unscaled else 16), None
    if depth.high is not None and depth.low <= darkest and brightest <= depth.high:
        return _declared(values, depth.low, depth.high, depth), None
    white = (1 << depth.container) - 1
    if darkest < 0 or brightest > white:
        raise ImageError(f"integers from {darkest} to {brightest}, whose value of white is unknown; {_ADVICE}")
    warning = _doubt(brightest, white, "16-bit values")
    return _finished(_reduced(values, depth.container), depth), warning


def _from_floats(values: NDArray[np.floating[Any]], depth: Depth) -> tuple[NDArray[np.uint8], str | None]:
    """Return floats of any shape as 8 bits; white is the declared value, else 1, 255 or 65535."""
    if not np.isfinite(values).all():
        raise ImageError("floating-point pixels that are not finite")
    darkest, brightest = float(values.min()), float(values.max())
    if depth.high is not None and depth.low <= darkest and brightest <= depth.high:
        return _finished(_stretched(values, depth.low, depth.high), depth), None
    white = next((white for white in _FLOAT_WHITES if brightest <= white), None)
    if darkest < 0 or white is None:
        raise ImageError(f"floats from {darkest:g} to {brightest:g}, whose value of white is unknown; {_ADVICE}")
    warning = _doubt(brightest, white, "floats")
    return _finished(_stretched(values, 0, white), depth), warning


def _from_channels(values: NDArray[np.uint16], depth: Depth) -> tuple[NDArray[np.uint8], str | None]:
    """Return 16-bit values (H, W, 3 or 4) of declared depth as 8 bits; alpha beyond that depth is opaque."""
    colours, warning = from_integers(values[:, :, :3], depth)
    if values.shape[2] == 3:
        return colours, warning
    white = depth.high or float((1 << (depth.bits or 16)) - 1)
    return np.concatenate([colours, _stretched(np.minimum(values[:, :, 3:], white), 0, white)], axis=2), warning


def _from_upper_bytes(upper: NDArray[np.uint8], rounded: bool) -> str | None:
    """Return the warning for 16-bit channels, (H, W, 3 or 4), of which only the upper bytes are known.

    Raises `ImageError` if their range is unknown.
    """
    largest = int(upper[:, :, :3].max())
    return _doubt(largest * 257 - 128 if rounded else largest << 8 | 0xFF, _WHITE, "16-bit values")


def _whole_values(image: Any, upper: NDArray[np.uint8]) -> NDArray[np.uint16]:
    """Return the 16-bit values of all channels: `upper` bytes as decoded, the lower ones of the same file, reopened.

    `image` is the file opened again and not yet loaded; it is loaded here. Raises `ImageError` for channels that
    Pillow cannot be asked for.
    """
    _set_planes_right(image)
    if _raw_mode(image) == "LA;16B":
        image.tile = [_unpacked_as(tile, "RGBA") for tile in image.tile]
        image.load()
        grey, grey_low, alpha, alpha_low = np.moveaxis(np.asarray(image).astype(np.uint16), 2, 0)
        grey, alpha = grey << 8 | grey_low, alpha << 8 | alpha_low
        return np.stack([grey, grey, grey, alpha], axis=2)
    try:
        if _in_planes(image) and image.tile[0].codec_name == "libtiff":
            raise KeyError  # Pillow always unpacks these in one byte order.
        image.tile = [_unpacked_as(tile, _OTHER_ORDER[_explicit(_mode_of(tile))]) for tile in image.tile]
    except KeyError:
        raise ImageError("16-bit channels with a declared depth in an unusual layout; save it in 8 bits") from None
    image.load()
    lower: NDArray[np.uint16] = np.asarray(image).astype(np.uint16)
    return np.asarray(upper.astype(np.uint16) << 8 | lower, np.uint16)


def _declared(values: NDArray[Any], low: float, high: float, depth: Depth) -> NDArray[np.uint8]:
    bits = round(math.log2(high + 1))
    if low == 0 and bits >= 8 and high == 2**bits - 1:
        return _finished(_reduced(values, bits), depth)
    return _finished(_stretched(values, low, high), depth)


def _doubt(brightest: float, white: float, what: str) -> str | None:
    if brightest <= white * _LEAST:
        raise ImageError(f"{what} of at most {brightest:g}: their range is unknown; {_ADVICE}")
    if brightest <= white * _BRIGHT:
        return f"{what} of at most {brightest:g} were read as if white were {white:g}: too dark unless that is so"
    return None


def _reduced(values: NDArray[Any], bits: int) -> NDArray[np.uint8]:
    """Drop the lower bits, as Pillow does; fewer than 8 are stretched."""
    if bits < 8:
        return _stretched(values, 0, 2**bits - 1)
    return np.asarray(values >> (bits - 8)).astype(np.uint8)


def _stretched(values: NDArray[Any], low: float, high: float) -> NDArray[np.uint8]:
    scaled: NDArray[np.float32] = values.astype(np.float32)  # Precise enough, and half the memory for large images.
    scaled -= np.float32(low)
    scaled *= np.float32(255 / (high - low))
    return np.rint(scaled, out=scaled).astype(np.uint8)


def _finished(pixels: NDArray[np.uint8], depth: Depth) -> NDArray[np.uint8]:
    return 255 - pixels if depth.inverted else pixels


def _raw_mode(image: Image.Image) -> str:
    """Return how Pillow will unpack the pixels of an image file, "" if it is loaded or no file."""
    return next(map(_mode_of, getattr(image, "tile", ())), "")


def _mode_of(tile: Any) -> str:
    first = tile.args if isinstance(tile.args, str) else (tile.args or ("",))[0]
    return first if isinstance(first, str) else ""


def _unpacked_as(tile: Any, mode: str) -> Any:
    return tile._replace(args=mode if isinstance(tile.args, str) else (mode, *tile.args[1:]))


def _set_planes_right(image: Any) -> None:
    if _in_planes(image) and _number(image.tag_v2.get(_BITS)) == 16 and _raw_mode(image) in tuple("RGBA"):
        order = "B" if image.tag_v2.prefix == b"MM" else "L"
        image.tile = [_unpacked_as(tile, f"{_mode_of(tile)};16{order}") for tile in image.tile]


def _in_planes(image: Any) -> bool:
    return bool(image.format == "TIFF" and image.tag_v2.get(_PLANES) == 2)


def _explicit(mode: str) -> str:
    native = "L" if sys.byteorder == "little" else "B"
    return mode[:-1] + native if mode.endswith(";16N") else mode


def _of_tiff(image: Image.Image, deep: bool) -> Depth:
    tags: Any = getattr(image, "tag_v2", {})
    bits = _number(tags.get(_BITS)) or 0
    low, high = _number(tags.get(_S_MIN)) or 0.0, _number(tags.get(_S_MAX))
    if high is None:
        low, high = 0.0, _number(tags.get(_MAX))
    if bits == 12 and high is None:
        high = 4095.0
    if image.mode != "F" and high is not None and high > 0 and low == 0:
        high = float(2 ** math.ceil(math.log2(high + 1)) - 1)  # Some writers declare the brightest value that occurs.
    inverted = tags.get(_PHOTOMETRIC) == 0 and (image.mode.startswith("I") or image.mode == "F")
    container = 15 if bits == 16 and _number(tags.get(_FORMAT)) == 2 else 16
    known = high is not None and high > low and (image.mode == "F" or high != _WHITE)
    return Depth(
        low if known else 0.0,
        high if known else None,
        inverted=inverted,
        upper_bytes=deep,
        container=container,
    )


def _number(value: Any) -> float | None:
    """Return a TIFF tag's value, the largest of several, as a finite float; None where there is none."""
    try:
        found = max(map(float, value)) if isinstance(value, tuple) else float(value)
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    return found if math.isfinite(found) else None


def _maximum(image: Image.Image) -> int:
    for tile in getattr(image, "tile", ()):
        if isinstance(tile.args, tuple) and len(tile.args) == 2:
            return int(tile.args[1])
        return _WHITE if tile.args == "I;16B" else 255
    return _WHITE


def _significant_bits(image: Image.Image) -> int | None:
    """Return the largest number of bits that PNG's sBIT gives a colour channel; None without a useful one."""
    file = getattr(image, "fp", None)
    if file is None:
        return None
    here = file.tell()
    try:
        file.seek(8)
        while len(head := file.read(8)) == 8 and head[4:] not in (b"IDAT", b"PLTE", b"IEND"):
            length = int.from_bytes(head[:4], "big")
            if head[4:] == b"sBIT" and length <= 4:
                content = file.read(length)
                bits = max(content[: 3 if length >= 3 else 1], default=0)
                return bits if 1 <= bits < 16 else None
            file.seek(length + 4, 1)
        return None
    finally:
        file.seek(here)


def _precision(image: Image.Image) -> int:
    """Return the bits of a JPEG 2000 image's first component, 0 if its header is not where it should be."""
    file = getattr(image, "fp", None)
    if file is None:
        return 0
    here = file.tell()
    file.seek(0)
    head = file.read(1 << 16)
    file.seek(here)
    start = head.find(b"\xff\x4f\xff\x51")
    size = head[start + 42 : start + 43]
    return (size[0] & 0x7F) + 1 if start >= 0 and size else 0
