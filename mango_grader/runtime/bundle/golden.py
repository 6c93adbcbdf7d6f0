"""The answers of a model when it was made, as parts of its bundle: for preprocessed images and for image files."""

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mango_grader.errors import BundleError
from mango_grader.runtime.bundle.arrays import to_npy
from mango_grader.runtime.bundle.manifest import Manifest
from mango_grader.runtime.bundle.strict_json import parse_json
from mango_grader.runtime.images.formats import open_image
from mango_grader.runtime.images.quiet import quiet

GOLDEN_IMAGES = "golden/images.npy"
GOLDEN_PROBABILITIES = "golden/probabilities.npy"
GOLDEN_LABELS = "golden/labels.json"
ORIGINAL_PIXELS = "encoded/pixels.npy"
ORIGINAL_PROBABILITIES = "encoded/probabilities.npy"
LARGEST_ORIGINAL = 1 << 16
"""Bytes that an encoded original may have at most."""
_MOST_PIXELS = 1 << 22  # of an encoded original; a small file can become a very large image
_SUM_TOLERANCE = 1e-3


@dataclass(frozen=True)
class Golden:
    """Preprocessed images, and the model's answers when it was made.

    Attributes:
        images: (G, H, W, 3) uint8 RGB.
        probabilities: (K, G, C) float32, calibrated, of each of K exits.
        labels: (G,) true classes, 0..C - 1.
    """

    images: NDArray[np.uint8]
    probabilities: NDArray[np.float32]
    labels: tuple[int, ...]

    def check(self, manifest: Manifest) -> None:
        """Raise `BundleError` unless all shapes and values fit a manifest."""
        _check_answers("golden", self.images, self.probabilities, manifest)
        if len(self.labels) != len(self.images):
            raise BundleError(f"its {len(self.images)} golden images have {len(self.labels)} labels")


@dataclass(frozen=True)
class Originals:
    """Synthetic image files, and the results of preprocessing and of the model when it was made.

    Attributes:
        files: encoded images, by the names of their parts.
        pixels: (E, H, W, 3) uint8 RGB, the preprocessed images in the order of `files`.
        probabilities: (K, E, C) float32, calibrated, of each of K exits.
    """

    files: Mapping[str, bytes]
    pixels: NDArray[np.uint8]
    probabilities: NDArray[np.float32]

    def check(self, manifest: Manifest) -> None:
        """Raise `BundleError` unless all shapes and values fit a manifest."""
        _check_answers("original", self.pixels, self.probabilities, manifest)
        if len(self.files) != len(self.pixels):
            raise BundleError(f"it has {len(self.files)} original files, and the pixels of {len(self.pixels)}")
        if large := [name for name, data in self.files.items() if len(data) > LARGEST_ORIGINAL]:
            raise BundleError(f"{large[0]} has more than {LARGEST_ORIGINAL} bytes")
        if large := [name for name, data in self.files.items() if _declared_pixels(data) > _MOST_PIXELS]:
            raise BundleError(f"{large[0]} has more than {_MOST_PIXELS} pixels")


def golden_parts(golden: Golden) -> dict[str, bytes]:
    """Return the parts of a bundle that hold the golden answers.

    Args:
        golden: images and answers.
    """
    return {
        GOLDEN_IMAGES: to_npy(golden.images.astype(np.uint8, copy=False)),
        GOLDEN_PROBABILITIES: to_npy(golden.probabilities.astype(np.float32, copy=False)),
        GOLDEN_LABELS: json.dumps(list(golden.labels)).encode(),
    }


def original_parts(originals: Originals) -> dict[str, bytes]:
    """Return the parts of a bundle that hold the encoded originals.

    Args:
        originals: image files and answers.
    """
    return {
        **originals.files,
        ORIGINAL_PIXELS: to_npy(originals.pixels.astype(np.uint8, copy=False)),
        ORIGINAL_PROBABILITIES: to_npy(originals.probabilities.astype(np.float32, copy=False)),
    }


def read_labels(data: bytes, classes: int) -> tuple[int, ...]:
    """Return the golden labels; raise `BundleError` for anything else.

    Args:
        data: the part.
        classes: number of classes; labels are 0..`classes` - 1.
    """
    labels = parse_json(data, GOLDEN_LABELS).items(1, 1_000_000)
    return tuple(one.integer(0, classes - 1) for one in labels)


def _declared_pixels(data: bytes) -> int:
    """Return the number of pixels of an image file; 0 if it is none, which decoding it will say."""
    try:
        with quiet, open_image(io.BytesIO(data)) as image:
            return image.width * image.height
    except Exception:  # Pillow's readers raise exceptions of nearly every type on damaged files.
        return 0


def _check_answers(
    what: str, images: NDArray[np.uint8], probabilities: NDArray[np.float32], manifest: Manifest
) -> None:
    fit, count = manifest.preprocess, len(images)
    answers = len(manifest.exits), count, len(manifest.classes)
    if images.shape != (count, fit.height, fit.width, 3) or probabilities.shape != answers:
        raise BundleError(f"its {what} images do not fit its manifest")
    sound = np.isfinite(probabilities).all() and (probabilities >= 0).all() and (probabilities <= 1).all()
    if not sound or np.abs(probabilities.sum(axis=2) - 1).max() > _SUM_TOLERANCE:
        raise BundleError(f"the answers to its {what} images are not probabilities: each in 0..1, with a sum of 1")
