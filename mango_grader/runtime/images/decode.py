"""Decodes any image to upright 8-bit RGB, or raises an `ImageError` that tells why that is not possible."""

import io
import math
import os
import stat
import struct
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from mango_grader.errors import ImageError
from mango_grader.runtime.images.depth import Depth, depth_of, eight_bits, from_integers
from mango_grader.runtime.images.formats import open_image
from mango_grader.runtime.images.quiet import quiet
from mango_grader.text import one_line

ImageSource = str | os.PathLike[str] | bytes | bytearray | memoryview | IO[bytes] | Image.Image | NDArray[np.generic]
"""A path, an encoded image as bytes or as an open binary file, an image of Pillow's, or an array."""

MAX_PIXELS = 1 << 27
"""Files with more pixels (134 million) are refused before anything is decoded."""

_ORIENTATION_TAG = 0x0112
_DAMAGE = (OSError, SyntaxError, EOFError, struct.error, zlib.error)  # Of Pillow's readers; Python's have `strerror`.
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}  # fmt: skip


@dataclass(frozen=True)
class Decoded:
    """A decoded image.

    Attributes:
        image: upright, in RGB.
        warning: why the image may not show what it should; None if there is no such reason.
        orientation: EXIF orientation that the file declares, 1..8; 1 is upright.
    """

    image: Image.Image
    warning: str | None = None
    orientation: int = 1


def decode(
    source: ImageSource,
    fill: tuple[int, int, int] = (114, 114, 114),
    needed: Callable[[int, int], tuple[int, int]] | None = None,
) -> Image.Image:
    """Return `source` as an upright RGB image: EXIF orientation applied, transparency laid over `fill`.

    Of an animation, the first frame is taken. Values of more than 8 bits are scaled as in `depth.py`.

    Args:
        source: a path; an encoded image as bytes or as a binary file (`io.BytesIO`, an upload, a pipe), which is read
            from its start if it is seekable; an image of Pillow's; or an array (H, W), (H, W, 1), (H, W, 3) RGB or
            (H, W, 4) RGBA, uint8 or uint16.
        fill: RGB, each 0..255.
        needed: maps the upright (width, height) to the smallest size that the caller can use. A JPEG is then decoded at
            1/2, 1/4 or 1/8 of its size (Pillow's `draft`), never below that size. None decodes all pixels.

    Raises:
        ImageError: and nothing else, if `source` cannot be decoded.
    """
    return decode_with_warning(source, fill, needed).image


def decode_with_warning(
    source: ImageSource,
    fill: tuple[int, int, int] = (114, 114, 114),
    needed: Callable[[int, int], tuple[int, int]] | None = None,
) -> Decoded:
    """Return the image that `decode` returns, with a warning if its brightness is doubtful.

    Args:
        source: as for `decode`.
        fill: as for `decode`.
        needed: as for `decode`.

    Raises:
        ImageError: as `decode` does.
    """
    try:
        with quiet:
            if isinstance(source, np.ndarray):
                return _from_array(source, fill)
            if isinstance(source, Image.Image):
                return _upright(source, fill, None)
            with _opened(source) as file, _image_in(file) as image:
                return _upright(image, fill, needed, file)
    except ImageError:
        raise
    except Exception as error:  # Pillow's readers raise exceptions of nearly every type on damaged files.
        raise ImageError(_reason(error)) from error


def read_file(path: Path) -> bytes:
    """Return the bytes of a file; raise `ImageError` with the reason if it cannot be read or is not a regular file."""
    try:
        _require_regular(path)
        return path.read_bytes()
    except (OSError, ValueError) as error:
        raise ImageError(_reason(error)) from error


@contextmanager
def _opened(source: object) -> Iterator[BinaryIO]:
    if isinstance(source, str | os.PathLike):
        _require_regular(source)
        opened: BinaryIO = open(source, "rb")  # noqa: PTH123, SIM115
    elif isinstance(source, bytes | bytearray | memoryview):
        opened = io.BytesIO(source)
    elif callable(getattr(source, "read", None)):
        opened = io.BytesIO(_content(cast("IO[bytes]", source)))
    else:  # An int would open that file descriptor.
        kind = type(source).__name__
        raise ImageError(f"cannot read an image from {kind}; use a path, bytes, a binary file, PIL or an array")
    with opened as file:
        if not file.read(1):
            raise ImageError("empty file")
        yield file


def _content(file: IO[bytes]) -> bytes:
    seekable = getattr(file, "seekable", None)
    if seekable is not None and seekable():
        file.seek(0)  # As Pillow does: a buffer that was just written is at its end.
    data: object = file.read()
    if not isinstance(data, bytes | bytearray | memoryview):
        raise ImageError("a file opened as text; open it in binary mode, with 'rb'")
    return bytes(data)


@contextmanager
def _image_in(file: BinaryIO) -> Iterator[Image.Image]:
    with open_image(file) as image:
        if image.width * image.height > MAX_PIXELS:
            raise ImageError(f"too large: {image.width}×{image.height} pixels")
        yield image


def _require_regular(path: str | os.PathLike[str]) -> None:
    # Checked before opening: opening a FIFO waits for a writer that may never come.
    try:
        mode = os.stat(path).st_mode  # noqa: PTH116
    except FileNotFoundError:
        raise ImageError("broken link" if os.path.islink(path) else "no such file") from None  # noqa: PTH114
    if stat.S_ISDIR(mode):
        raise ImageError("a directory, not a file")
    if not stat.S_ISREG(mode):
        raise ImageError("not a regular file")


def _upright(
    image: Image.Image,
    fill: tuple[int, int, int],
    needed: Callable[[int, int], tuple[int, int]] | None,
    file: BinaryIO | None = None,
) -> Decoded:
    if not image.width or not image.height:
        raise ImageError(f"no pixels: {image.width}×{image.height}")
    depth = depth_of(image)
    reducible = needed is not None and image.format in ("JPEG", "MPO")
    if not reducible:
        image.load()  # PNG and TIFF have their orientation only now.
    orientation = _orientation(image)
    if needed is not None and reducible:
        turned = orientation >= 5
        size = needed(*(image.size[::-1] if turned else image.size))
        image.draft(None, size[::-1] if turned else size)
        image.load()
    image, warning = eight_bits(image, depth, None if file is None else lambda: _image_in(file))
    if file is None or image.mode != "RGB" or image.has_transparency_data:  # `convert` would copy what is RGB.
        image = _to_rgb(image, fill)
    upright = image.transpose(_UPRIGHT[orientation]) if orientation in _UPRIGHT else image
    return Decoded(upright, warning, orientation)


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(_ORIENTATION_TAG, 1))
    except Exception:  # An image with damaged metadata can still be decoded.
        return 1


def _to_rgb(image: Image.Image, fill: tuple[int, int, int]) -> Image.Image:
    if image.mode == "LAB":
        profiles = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
        image = ImageCms.profileToProfile(image, *profiles, outputMode="RGB") or image
    elif image.mode == "La":
        image = image.convert("LA")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        ground = Image.new("RGBA", image.size, (*fill, 255))
        image = Image.alpha_composite(ground, image)
    return image.convert("RGB")


def _from_array(array: NDArray[np.generic], fill: tuple[int, int, int]) -> Decoded:
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (3, 4)) or not array.size:
        raise ImageError(f"array of shape {array.shape}; use (H, W), (H, W, 3) or (H, W, 4)")
    warning = None
    if array.dtype.newbyteorder("=") == np.uint16:
        values = np.asarray(array, np.uint16)
        _, warning = from_integers(values[:, :, :3] if values.ndim == 3 else values, Depth())
        array = (values >> 8).astype(np.uint8)
    if array.dtype != np.uint8:
        raise ImageError(f"array of {array.dtype}; use uint8 (0 to 255) or uint16 (0 to 65535)")
    return Decoded(_to_rgb(Image.fromarray(np.ascontiguousarray(array)), fill), warning)


def _reason(error: Exception) -> str:
    if isinstance(error, Image.DecompressionBombError):
        return f"too large: more than {MAX_PIXELS} pixels"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    if isinstance(error, MemoryError):
        return "not enough memory to decode it"
    text = one_line(" ".join(str(error).split())) or type(error).__name__
    return f"damaged or incomplete: {text}" if isinstance(error, _DAMAGE) else text


def scaled(width: int, height: int, box: tuple[int, int]) -> tuple[int, int]:
    """Return the largest (width, height) of the same shape that fits into a box, each side at least 1.

    Args:
        width: of the image, 1 or more.
        height: of the image, 1 or more.
        box: (width, height) to fit into.
    """
    factor = min(box[0] / width, box[1] / height)
    return max(1, math.floor(width * factor + 0.5)), max(1, math.floor(height * factor + 0.5))
