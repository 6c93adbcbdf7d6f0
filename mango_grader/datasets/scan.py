"""One look at every file of a set: digest, size, orientation, perceptual hash, thumbnail, or why it is unreadable."""

import tempfile
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from itertools import chain
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

__all__ = ["IN_MEMORY", "THUMB", "Scan", "joined", "scan"]

THUMB = 32
"""Side of the thumbnails in pixels; they are squeezed square, so that no letterbox hides the border."""

IN_MEMORY = 20_000
"""Thumbnails of more images than this, 3 kB each, lie in a temporary file and are read when they are asked for."""

_HASHED = 2 * THUMB


@dataclass(frozen=True)
class Scan:
    """Facts about the images of a data set, N rows in its order; rows of unreadable files are zero.

    Attributes:
        digests: N SHA-256 digests of the files' bytes; "" where the file cannot be read at all.
        sizes: int64 (N, 2), upright width and height in pixels.
        orientations: int64 (N,), EXIF orientation 1..8; 1 is upright.
        hashes: uint64 (N,), perceptual hashes (pHash).
        thumbs: uint8 (N, THUMB, THUMB, 3), RGB, squeezed square, read-only; of many images memory-mapped.
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
    digests: list[str] = []
    sizes, orientations, hashes = np.zeros((count, 2), np.int64), np.zeros(count, np.int64), np.zeros(count, np.uint64)
    errors: dict[int, str] = {}
    warnings: dict[int, str] = {}
    paths = (dataset.root / item.path for item in dataset.items)
    with closing(_Thumbnails(count)) as thumbs, (progress or SilentProgress()).task("reading images", count) as task:
        for index, one in enumerate(ordered_map(_look, paths, workers)):
            digests.append(one.digest)
            sizes[index], orientations[index], hashes[index] = one.size, one.orientation, one.hash
            thumbs.add(_NOTHING if one.thumb is None else one.thumb)
            if one.error is not None:
                errors[index] = one.error
            if one.warning is not None:
                warnings[index] = one.warning
            task.advance()
        return Scan(tuple(digests), sizes, orientations, hashes, thumbs.whole(), errors, warnings)


def joined(one: Scan, other: Scan) -> Scan:
    """Return the facts about the images of two data sets, those of the second after those of the first.

    Args:
        one: N images.
        other: M images.
    """
    count = len(one.digests)
    with closing(_Thumbnails(count + len(other.digests))) as both:
        for thumb in chain(one.thumbs, other.thumbs):
            both.add(thumb)
        thumbs = both.whole()
    return Scan(
        one.digests + other.digests,
        np.concatenate([one.sizes, other.sizes]),
        np.concatenate([one.orientations, other.orientations]),
        np.concatenate([one.hashes, other.hashes]),
        thumbs,
        {**one.errors, **{index + count: reason for index, reason in other.errors.items()}},
        {**one.warnings, **{index + count: warning for index, warning in other.warnings.items()}},
    )


_NOTHING = np.zeros((THUMB, THUMB, 3), np.uint8)


class _Thumbnails:
    """Takes one thumbnail after the other; many of them into a file without a name, which ends with this process.

    They are written, not mapped, so that they lie in memory only as far as the system has room for them.
    """

    def __init__(self, count: int) -> None:
        self._shape, self._added = (count, THUMB, THUMB, 3), 0
        self._file = tempfile.TemporaryFile() if count > IN_MEMORY else None  # noqa: SIM115
        self._rows = np.zeros((0 if self._file else count, THUMB, THUMB, 3), np.uint8)

    def add(self, thumb: NDArray[np.uint8]) -> None:
        if self._file:
            self._file.write(thumb.tobytes())
        else:
            self._rows[self._added] = thumb
        self._added += 1

    def whole(self) -> NDArray[np.uint8]:
        if self._file:
            self._file.flush()
            return np.memmap(self._file, np.uint8, mode="r", shape=self._shape)
        self._rows.flags.writeable = False
        return self._rows

    def close(self) -> None:
        """Close the file; what was mapped stays."""
        if self._file:
            self._file.close()


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
