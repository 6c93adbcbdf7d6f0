"""What decoding costs: of drawn JPEGs in the sizes of cameras, or of a user's own images."""

import io
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from mango_grader.errors import ImageError, UsageError
from mango_grader.runtime.grading.inputs import list_inputs
from mango_grader.runtime.images.decode import read_file
from mango_grader.runtime.images.formats import open_image
from mango_grader.runtime.images.preprocess import Preprocess
from mango_grader.runtime.images.quiet import quiet
from mango_grader.runtime.inference.host_profile import DecodeCost

SIZES = ((640, 480), (1280, 1024), (2592, 1944), (4000, 3000))
"""Width and height of the JPEGs that are drawn: 0.3, 1.3, 5 and 12 megapixels."""
_MOST_FILES = 50
_QUALITY, _BAND = 90, 64


@dataclass(frozen=True)
class ImageSet:
    """Encoded images whose decoding is measured together.

    Attributes:
        name: what they are.
        files: contents.
        megapixels: their mean size.
    """

    name: str
    files: tuple[bytes, ...]
    megapixels: float


def drawn_sets() -> list[ImageSet]:
    """Return one JPEG of each size in `SIZES`, as detailed as a photo of a fruit on a belt."""
    return [ImageSet("drawn JPEGs", (_draw(*size),), size[0] * size[1] / 1e6) for size in SIZES]


def photo_set(folder: str) -> ImageSet:
    """Return up to 50 images of a folder, spread over it; raise `UsageError` if none can be read.

    Args:
        folder: with images, in sub-folders too.
    """
    paths = list_inputs([folder], recursive=True)
    kept, pixels = [], 0.0
    for path in paths[:: max(1, len(paths) // _MOST_FILES)][:_MOST_FILES]:
        try:
            data = read_file(Path(path))
            with quiet, open_image(io.BytesIO(data)) as image:
                size = image.width * image.height
        except Exception:  # Pillow raises exceptions of nearly every type on damaged files.
            continue
        kept.append(data)
        pixels += size / 1e6
    if not kept:
        raise UsageError(f"--data {folder}: no image can be read")
    return ImageSet(folder, tuple(kept), pixels / len(kept))


def decode_times(preprocess: Preprocess, images: ImageSet, seconds: float) -> list[float]:
    """Return milliseconds of decoding and fitting, one image after another, each at least once.

    Args:
        preprocess: of the model.
        images: to decode; those that cannot be decoded are left out.
        seconds: after which no image is begun, if each has had its turn.
    """
    times: list[float] = []
    end = time.perf_counter() + seconds
    for number in range(1_000_000):
        if number >= len(images.files) and time.perf_counter() > end:
            break
        start = time.perf_counter()
        try:
            preprocess.prepare(images.files[number % len(images.files)])
        except ImageError:
            continue
        times.append((time.perf_counter() - start) * 1e3)
    return times


def cost(images: ImageSet, times: Sequence[float]) -> DecodeCost:
    """Return the median of measured times with the images' size.

    Args:
        images: that were decoded.
        times: in milliseconds, of `decode_times`.

    Raises:
        UsageError: if there are no times, because no image could be decoded.
    """
    if not times:
        raise UsageError(f"--data {images.name}: no image can be decoded")
    return DecodeCost(images.name, round(images.megapixels, 3), round(float(np.median(times)), 3))


def _draw(width: int, height: int) -> bytes:
    """Return a JPEG of a shaded ellipse with the noise of a sensor, made small and a band of rows at a time."""
    rows, columns = np.ogrid[-1:1:96j, -1:1:128j]
    inside = (rows**2 / 0.5 + columns**2 / 0.4 < 1)[:, :, None]
    shade = (1 - 0.3 * np.hypot(rows, columns))[:, :, None]
    small = np.where(inside, np.array([210, 160, 50]) * shade, np.array([90, 95, 100])).astype(np.uint8)
    image = np.array(Image.fromarray(small).resize((width, height)))
    noise = np.random.default_rng(0).normal(0, 4, (_BAND, width, 1)).astype(np.int16)
    for top in range(0, height, _BAND):
        band = image[top : top + _BAND]
        band[:] = np.clip(band + noise[: len(band)], 0, 255)
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=_QUALITY)
    return buffer.getvalue()
