"""One look at every file of a set: digest, size, orientation, perceptual hash, thumbnail, or why it is unreadable."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import imagehash
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mango_grader.cores import ordered_map
from mango_grader.datasets.dataset import Dataset
from mango_grader.errors import ImageError
from mango_grader.files import digest
from mango_grader.progress import Progress, SilentProgress
from mango_grader.runtime.images.decode import decode_with_warning, read_file
from mango_grader.runtime.images.preprocess import one_colour

__all__ = ["THUMB", "Scan", "scan"]

THUMB = 32
"""Side of the thumbnails in pixels; they are squeezed square, so that no letterbox hides the border."""

_HASHED = 2 * THUMB


@dataclass(frozen=True)
class Scan:
    """Facts about the images of a data set, N rows in its order; rows of unreadable files are zero.

    Attributes:
        digests: N SHA-256 digests of the files' bytes; "" where the file cannot be read at all.
        sizes: int64 (N, 2), upright width and height in pixels.
        orientations: int64 (N,), EXIF orientation 1..8; 1 is upright.
        hashes: uint64 (N,), perceptual hashes (pHash).
        thumbs: uint8 (N, THUMB, THUMB, 3), RGB, squeezed square.
        errors: why a file is unreadable, by item index.
        warnings: what may be wrong with a readable image, by item index.
    """

    digests: tuple[str, ...]
    sizes: NDArray[np.int64]
    orientations: NDArray[np.int64]
    hashes: NDArray[np.uint64]
    thumbs: NDArray[np.uint8]
    errors: Mapping[int, str]
    warnings: Mapping[int, str] = field(default_factory=dict)

    @property
    def readable(self) -> NDArray[np.bool_]:
        """Which items could be decoded, bool (N,)."""
        mask = np.ones(len(self.digests), bool)
        mask[list(self.errors)] = False
        return mask


class _Facts(NamedTuple):
    digest: str
    size: tuple[int, int] = (0, 0)
    orientation: int = 0
    hash: int = 0
    thumb: NDArray[np.uint8] | None = None
    error: str | None = None
    warning: str | None = None


def scan(dataset: Dataset, progress: Progress | None = None, workers: int | None = None) -> Scan:
    """Read every file once on all cores; a bad file becomes an entry of `errors`, never an exception.

    Args:
        dataset: N images on disk.
        progress: shows how far it is.
        workers: number of threads; None is one per usable core.

    Example:
        ```python
        from mango_grader import read_dataset
        from mango_grader.datasets.scan import scan

        facts = scan(read_dataset("mangos"))
        print(facts.sizes.min(0), facts.errors)
        ```
    """
    count = len(dataset.items)
    facts: list[_Facts] = []
    with (progress or SilentProgress()).task("reading images", count) as task:
        for one in ordered_map(_look, [dataset.root / path for path in dataset.paths], workers):
            facts.append(one)
            task.advance()
    thumbs = np.zeros((count, THUMB, THUMB, 3), np.uint8)
    for index, one in enumerate(facts):
        if one.thumb is not None:
            thumbs[index] = one.thumb
    return Scan(
        digests=tuple(one.digest for one in facts),
        sizes=np.array([one.size for one in facts], np.int64).reshape(count, 2),
        orientations=np.array([one.orientation for one in facts], np.int64),
        hashes=np.array([one.hash for one in facts], np.uint64),
        thumbs=thumbs,
        errors={index: one.error for index, one in enumerate(facts) if one.error is not None},
        warnings={index: one.warning for index, one in enumerate(facts) if one.warning is not None},
    )


def _look(path: Path) -> _Facts:
    name = ""
    sizes: list[tuple[int, int]] = []

    def needed(width: int, height: int) -> tuple[int, int]:
        sizes.append((width, height))
        return 2 * _HASHED, 2 * _HASHED

    try:
        data = read_file(path)
        name = digest(data)
        decoded = decode_with_warning(data, needed=needed)
    except ImageError as error:
        return _Facts(name, error=str(error))
    image = decoded.image
    size = sizes[0] if sizes else image.size
    small = image.resize((_HASHED, _HASHED), Image.Resampling.BILINEAR)
    bits = np.asarray(imagehash.phash(small).hash, np.uint8).ravel()
    return _Facts(
        digest=name,
        size=size,
        orientation=decoded.orientation,
        hash=int.from_bytes(np.packbits(bits).tobytes(), "big"),
        thumb=np.asarray(small.resize((THUMB, THUMB), Image.Resampling.BOX)),
        warning=decoded.warning or one_colour(np.asarray(small)),
    )
