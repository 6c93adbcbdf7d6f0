"""Encoded images that show at each load whether image files are decoded and resized as when the model was made.

All are drawn here by a formula, so that a bundle holds nobody's photos.
"""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mango_grader.errors import ExportError
from mango_grader.runtime.bundle.golden import LARGEST_ORIGINAL
from mango_grader.runtime.images.preprocess import Preprocess

_ORIENTATION_TAG, _TURNED = 0x0112, 6
_LONGEST = 1536  # pixels
_QUALITIES = (90, 75, 50, 25)
# Decoders of JPEG differ at sharp edges, and may. PNG is decoded alike everywhere: there, edges show how it is resized.
_SOFT, _SHARP = 4.0, 200.0


def draw_originals(preprocess: Preprocess) -> dict[str, bytes]:
    """Return four image files by their names in a bundle, each of at most 64 KiB; the same for the same arguments.

    A wide JPEG, large enough for a reduced decoding up to an input of about 200 pixels; one that EXIF turns upright;
    a PNG with transparency; and a PNG that is smaller than the input.
    """
    side = max(preprocess.height, preprocess.width)
    long = min(8 * side, _LONGEST)
    middle = min(2 * side, 400)
    exif = Image.Exif()
    exif[_ORIENTATION_TAG] = _TURNED
    clear = _fruit(middle * 4 // 5, middle, 2, _SHARP)
    clear.putalpha(Image.fromarray(_ramp(middle * 4 // 5, middle)))
    small = max(preprocess.height // 2, 3), max(preprocess.width * 2 // 5, 2)
    return {
        "encoded/wide.jpg": _jpeg(_fruit(long * 9 // 16, long, 0)),
        "encoded/turned.jpg": _jpeg(_fruit(middle, middle * 3 // 4, 1), exif),
        "encoded/clear.png": _png(clear),
        "encoded/small.png": _png(_fruit(*small, 3, _SHARP)),
    }


def _fruit(height: int, width: int, number: int, edges: float = _SOFT) -> Image.Image:
    """Draw an ellipse with two dark spots on a sloping ground; `number` says how it lies and of which hue."""
    down, across = np.mgrid[0:height, 0:width].astype(np.float32)
    down, across = down / height - 0.5, across / width - 0.5
    turn = 0.6 * number
    along, beside = across * np.cos(turn) + down * np.sin(turn), down * np.cos(turn) - across * np.sin(turn)
    fruit = _inside(1 - (along / 0.42) ** 2 - (beside / 0.3) ** 2, edges)
    spots = _inside(0.02 - (along - 0.15) ** 2 - beside**2, edges)
    spots += _inside(0.01 - (along + 0.2) ** 2 - (beside + 0.05) ** 2, edges)
    ground = np.stack([70 + 40 * across, 80 + 30 * down, 90 - 20 * across], axis=2)
    skin = np.array([(200, 170, 50), (120, 150, 40), (210, 90, 40), (180, 180, 90)][number], np.float32)
    shade = (1 - 0.5 * beside - 0.7 * np.clip(spots, 0, 1))[:, :, None]
    pixels = ground + fruit[:, :, None] * (skin * shade - ground)
    return Image.fromarray(np.clip(np.rint(pixels), 0, 255).astype(np.uint8))


def _inside(value: NDArray[np.float32], edges: float) -> NDArray[np.float32]:
    """Return 1 where `value` is above 1 / `edges`, 0 where it is below 0, and a slope between."""
    return np.asarray(np.clip(value * edges, 0, 1), np.float32)


def _ramp(height: int, width: int) -> NDArray[np.uint8]:
    return np.broadcast_to(np.linspace(0, 255, width).astype(np.uint8), (height, width)).copy()


def _jpeg(image: Image.Image, exif: Image.Exif | None = None) -> bytes:
    for quality in _QUALITIES:
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=quality, exif=exif or Image.Exif())
        if buffer.tell() <= LARGEST_ORIGINAL:
            return buffer.getvalue()
    raise ExportError(f"a drawn JPEG of {image.width}×{image.height} pixels has more than {LARGEST_ORIGINAL} bytes")


def _png(image: Image.Image) -> bytes:
    while True:
        buffer = io.BytesIO()
        image.save(buffer, "PNG", optimize=True)
        if buffer.tell() <= LARGEST_ORIGINAL:
            return buffer.getvalue()
        image = image.resize((image.width * 3 // 4, image.height * 3 // 4))
