"""The answers of a model when it was made, as parts of its bundle: for preprocessed images and for image files."""

import io
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mango_grader.errors import BundleError
from mango_grader.runtime.bundle.manifest import Manifest
from mango_grader.runtime.bundle.strict_json import parse_json

GOLDEN_IMAGES = "golden/images.npy"
GOLDEN_PROBABILITIES = "golden/probabilities.npy"
GOLDEN_LABELS = "golden/labels.json"
ORIGINAL_PIXELS = "encoded/pixels.npy"
ORIGINAL_PROBABILITIES = "encoded/probabilities.npy"
LARGEST_ORIGINAL = 1 << 16
"""Bytes that an encoded original may have at most."""
_SUM_TOLERANCE = 1e-3

# As numpy.save writes it; numpy's own reader would let Python's parser read whatever is there.
_HEADER = re.compile(
    rb"\x93NUMPY\x01\x00(?P<size>..)\{'descr': '(?P<dtype>\|u1|<f4)', 'fortran_order': (?P<fortran>True|False), "
    rb"'shape': \((?P<shape>(?:\d{1,9}, ){0,7}\d{1,9},?)\), \} *\n",
    re.DOTALL,
)


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


def golden_parts(golden: Golden) -> dict[str, bytes]:
    """Return the parts of a bundle that hold the golden answers.

    Args:
        golden: images and answers.
    """
    return {
        GOLDEN_IMAGES: _npy(golden.images.astype(np.uint8, copy=False)),
        GOLDEN_PROBABILITIES: _npy(golden.probabilities.astype(np.float32, copy=False)),
        GOLDEN_LABELS: json.dumps(list(golden.labels)).encode(),
    }


def original_parts(originals: Originals) -> dict[str, bytes]:
    """Return the parts of a bundle that hold the encoded originals.

    Args:
        originals: image files and answers.
    """
    return {
        **originals.files,
        ORIGINAL_PIXELS: _npy(originals.pixels.astype(np.uint8, copy=False)),
        ORIGINAL_PROBABILITIES: _npy(originals.probabilities.astype(np.float32, copy=False)),
    }


def read_labels(data: bytes, classes: int) -> tuple[int, ...]:
    """Return the golden labels; raise `BundleError` for anything else.

    Args:
        data: the part.
        classes: number of classes; labels are 0..`classes` - 1.
    """
    labels = parse_json(data, GOLDEN_LABELS).items(1, 1_000_000)
    return tuple(one.integer(0, classes - 1) for one in labels)


def read_images(data: bytes, name: str) -> NDArray[np.uint8]:
    """Return the uint8 array of an .npy part as `numpy.save` writes it; raise `BundleError` for anything else.

    Args:
        data: the part.
        name: of the part, for messages.
    """
    return np.asarray(_read(data, name, np.dtype(np.uint8)), np.uint8)


def read_numbers(data: bytes, name: str) -> NDArray[np.float32]:
    """Return the float32 array of an .npy part as `numpy.save` writes it; raise `BundleError` for anything else.

    Args:
        data: the part.
        name: of the part, for messages.
    """
    return np.asarray(_read(data, name, np.dtype(np.float32)), np.float32)


def _read(data: bytes, name: str, dtype: np.dtype[np.generic]) -> NDArray[np.generic]:
    header = _HEADER.match(data)
    if header is None or int.from_bytes(header["size"], "little") != header.end() - 10:
        raise BundleError(f"{name} is not an array as numpy.save writes it")
    if np.dtype(header["dtype"].decode()) != dtype:
        raise BundleError(f"{name} holds {header['dtype'].decode()}")
    shape = tuple(int(size) for size in header["shape"].rstrip(b",").split(b", "))
    count = 1
    for size in shape:
        count *= size
    if not count or count * dtype.itemsize != len(data) - header.end():
        raise BundleError(f"{name} does not hold the values that its shape {shape} declares")
    values = np.frombuffer(data, dtype, count, header.end())
    return (values.reshape(shape[::-1]).T if header["fortran"] == b"True" else values.reshape(shape)).copy()


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


def _npy(array: NDArray[np.generic]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()
