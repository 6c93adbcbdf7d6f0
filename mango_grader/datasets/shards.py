"""Rows of decoded images in files of a bounded size, read like one array."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mango_grader.files import file_digest, read_json, replacing, write_json
from mango_grader.progress import Task
from mango_grader.runtime.images.preprocess import Prepared

__all__ = ["MOST_SHARDS", "SHARD_BYTES", "ImageRows", "Problems", "Shard", "ShardedImages", "SomeImages", "shard_count"]

SHARD_BYTES = 256 << 20
"""A file holds at most this many bytes of pixels: 5,461 images of 128 × 128 …"""

MOST_SHARDS = 512
"""… or more, so that a data set has at most this many files: each that is mapped takes an open file."""


def shard_count(images: int, image_bytes: int, shard_bytes: int = SHARD_BYTES) -> int:
    """Return the number of files for the rows of a data set.

    Args:
        images: number of images, 1 or more.
        image_bytes: of one decoded image.
        shard_bytes: of one file at most, unless there would be more than `MOST_SHARDS` files.

    Example:
        >>> shard_count(700, 128 * 128 * 3), shard_count(1_000_000, 128 * 128 * 3), shard_count(10**8, 128 * 128 * 3)
        (1, 184, 512)
    """
    per_shard = max(1, shard_bytes // image_bytes)
    return min(-(-images // per_shard), MOST_SHARDS)


class ShardedImages:
    """Images in several arrays, mostly memory-mapped, indexed like one array; what is asked for is copied.

    Args:
        parts: S arrays, uint8 (M_s, H, W, 3), in order.

    Attributes:
        shape: (M, H, W, 3), M the sum of all M_s.
        nbytes: of all pixels.

    Example:
        >>> import numpy as np
        >>> images = ShardedImages([np.zeros((2, 4, 4, 3), np.uint8), np.ones((3, 4, 4, 3), np.uint8)])
        >>> images.shape, images[np.array([4, 0])].mean((1, 2, 3)).tolist()
        ((5, 4, 4, 3), [1.0, 0.0])
    """

    def __init__(self, parts: Sequence[NDArray[np.uint8]]) -> None:
        # Plain views: indexing an np.memmap takes longer than copying a small image.
        self._parts = [np.asarray(part) for part in parts]
        self._ends = np.cumsum([len(part) for part in parts])
        self._starts = self._ends - [len(part) for part in parts]
        self.shape: tuple[int, ...] = (int(self._ends[-1]), *parts[0].shape[1:])
        self.nbytes = sum(part.nbytes for part in parts)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: int | np.integer[Any] | slice | NDArray[np.integer[Any]]) -> NDArray[np.uint8]:
        """Return one image (H, W, 3), or those of a slice or of an array of rows from 0 on, (N, H, W, 3)."""
        asked = np.arange(*rows.indices(len(self))) if isinstance(rows, slice) else np.asarray(rows)
        if asked.dtype.kind not in "iu" or (asked.size and not 0 <= asked.min() <= asked.max() < len(self)):
            raise IndexError(f"rows of {len(self)} images are integers from 0 on, not {rows!r}")
        shards = np.searchsorted(self._ends, asked, side="right")
        inside = asked - self._starts[shards]
        if not asked.ndim:
            image: NDArray[np.uint8] = self._parts[int(shards)][int(inside)]
            return image
        found = np.empty((len(asked), *self.shape[1:]), np.uint8)
        for place, (shard, row) in enumerate(zip(shards.tolist(), inside.tolist(), strict=True)):
            found[place] = self._parts[shard][row]
        return found

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """Return all of them in memory, for `np.asarray`."""
        if copy is False:
            raise ValueError("images in several files are one array only as a copy")
        return np.concatenate(self._parts).astype(dtype or np.uint8, copy=False)


ImageRows = NDArray[np.uint8] | ShardedImages
"""Images that are read row by row: an array, possibly memory-mapped, or several."""


@dataclass(frozen=True, eq=False)
class SomeImages:
    """Some of the images, read when a slice of them is asked for.

    Attributes:
        images: uint8 (M, H, W, 3).
        rows: int64 (N,), which of them, in this order.
    """

    images: ImageRows
    rows: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, places: slice) -> NDArray[np.uint8]:
        return self.images[self.rows[places]]


@dataclass(frozen=True)
class Problems:
    """Why items are left out, and what may be wrong with others.

    Attributes:
        errors: reason by item index.
        warnings: likewise, of items that are there.
    """

    errors: dict[int, str] = field(default_factory=dict)
    warnings: dict[int, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Shard:
    """The rows of some items in two files: STEM.u8, then STEM.json with their digest, each put in place whole.

    Attributes:
        stem: path of both without their endings.
        items: their indices, one after the other.
        shape: (H, W, 3) of each row.
    """

    stem: Path
    items: range
    shape: tuple[int, int, int]

    def problems(self) -> Problems | None:
        """Return the problems of a shard that is there and matches its own digest, else None."""
        try:
            values: dict[str, Any] = read_json(self._description)
            problems = Problems(_by_item(values["errors"]), _by_item(values["warnings"]))
            rows = len(self.items) - len(problems.errors)
            size = rows * int(np.prod(self.shape))
            if self._pixels.stat().st_size != size or file_digest(self._pixels) != values["sha256"]:
                return None
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None
        return problems

    def write(self, prepared: Iterable[Prepared | str], task: Task) -> Problems:
        """Write both files.

        Args:
            prepared: for each item, in order, its pixels, or why it has none.
            task: told of each item.
        """
        problems = Problems()
        content, rows = hashlib.sha256(), 0
        with replacing(self._pixels) as temporary, temporary.open("wb") as file:
            for item, result in zip(self.items, prepared, strict=True):
                if isinstance(result, str):
                    problems.errors[item] = result
                else:
                    if result.warning is not None:
                        problems.warnings[item] = result.warning
                    data = result.pixels.tobytes()
                    content.update(data)
                    file.write(data)
                    rows += 1
                task.advance()
        write_json(self._description, {"rows": rows, "sha256": content.hexdigest(), **asdict(problems)})
        return problems

    def mapped(self, problems: Problems) -> NDArray[np.uint8] | None:
        """Return the rows of a whole shard, memory-mapped and read-only; None if it has none.

        Args:
            problems: of its items.
        """
        rows = len(self.items) - len(problems.errors)
        return np.memmap(self._pixels, np.uint8, mode="r", shape=(rows, *self.shape)) if rows else None

    @property
    def _pixels(self) -> Path:
        return Path(f"{self.stem}.u8")

    @property
    def _description(self) -> Path:
        return Path(f"{self.stem}.json")


def _by_item(values: Mapping[str, Any]) -> dict[int, str]:
    return {int(number): str(text) for number, text in values.items()}
