"""The packed cache: each image decoded once, kept as memory-mapped uint8 under a name made of its content."""

import hashlib
import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mango_grader.cores import ordered_map
from mango_grader.datasets.dataset import Dataset
from mango_grader.errors import ImageError, MangoError, UsageError
from mango_grader.files import digest, file_digest, read_json, replacing, write_json
from mango_grader.progress import Progress, SilentProgress
from mango_grader.runtime.images.decode import read_file
from mango_grader.runtime.images.formats import readers
from mango_grader.runtime.images.preprocess import Prepared, Preprocess

__all__ = ["Fingerprint", "PackedImages", "fingerprints", "pack", "packed_as"]

_FORMAT = 2  # Counts up whenever the same file may give other pixels.
_STALE = 24 * 3600.0  # Temporary files untouched for a day are those of a killed build.


class Fingerprint(NamedTuple):
    """What identifies the content of a file.

    Attributes:
        sha256: SHA-256 of its bytes in hex; of a file that cannot be read, the reason instead.
        size: number of bytes; 0 for a file that cannot be read.
    """

    sha256: str
    size: int


def fingerprints(
    paths: Sequence[Path], progress: Progress | None = None, workers: int | None = None
) -> list[Fingerprint]:
    """Read every file once, on all cores, and return its fingerprint.

    Args:
        paths: image files.
        progress: shows how far it is.
        workers: number of threads; None is one per usable core.
    """
    found = []
    with (progress or SilentProgress()).task("checking the images", len(paths)) as task:
        for each in ordered_map(_fingerprint, paths, workers):
            found.append(each)
            task.advance()
    return found


def _fingerprint(path: Path) -> Fingerprint:
    try:
        data = read_file(path)
    except ImageError as error:
        return Fingerprint(f"unreadable: {error}", 0)
    return Fingerprint(digest(data), len(data))


@dataclass(frozen=True)
class PackedImages:
    """The readable images of a data set, M rows in its order.

    Attributes:
        images: uint8 (M, H, W, 3) RGB, memory-mapped, read-only.
        labels: int64 (M,), the class index of each row.
        groups: M group names.
        paths: M paths relative to the set's root.
        index: int64 (M,), the item index of each row, ascending.
        errors: reason by path of the images left out.
        digest: names the pixels: content and preprocessing.
        warnings: by path, what may be wrong with images that are there.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    groups: tuple[str, ...]
    paths: tuple[str, ...]
    index: NDArray[np.int64]
    errors: Mapping[str, str]
    digest: str
    warnings: Mapping[str, str] = field(default_factory=dict)

    def rows(self, items: Sequence[int]) -> NDArray[np.int64]:
        """Return the rows of those of `items` (item indices, as a split holds them) that are packed, int64."""
        row_of = {item: row for row, item in enumerate(self.index.tolist())}
        return np.array([row_of[item] for item in items if item in row_of], np.int64)


def pack(
    dataset: Dataset,
    preprocess: Preprocess,
    folder: str | os.PathLike[str],
    progress: Progress | None = None,
    *,
    known: Sequence[Fingerprint] | None = None,
    workers: int | None = None,
) -> PackedImages:
    """Return the preprocessed images, from `folder` if they are there and whole, else decoded on all cores.

    The cache is named by the SHA-256 of all files, so that no stale pixels are ever used. A build that is interrupted,
    or races with another (both write the same bytes), leaves nothing that would be taken for a cache; what does not
    match its digest is built anew.

    Args:
        dataset: N images on disk.
        preprocess: how each image is fitted to H × W pixels.
        folder: holds caches; made if need be.
        progress: shows how far it is.
        known: the N fingerprints of the images, in order, where they were just read; None reads all files.
        workers: number of threads; None is one per usable core.

    Raises:
        UsageError: no image is readable.
        MangoError: a file changes meanwhile.

    Example:
        ```python
        from mango_grader import read_dataset
        from mango_grader.datasets import pack
        from mango_grader.runtime import Preprocess

        packed = pack(read_dataset("mangos"), Preprocess(128, 128), "cache")
        assert packed.images.shape == (len(packed.paths), 128, 128, 3)
        ```
    """
    reporter = progress or SilentProgress()
    found = known or fingerprints([dataset.root / path for path in dataset.paths], reporter, workers)
    digests = [each.sha256 for each in found]
    made_of = [_FORMAT, readers(), preprocess.to_dict(), digests]
    cache = _Cache(dataset, preprocess, Path(folder), digest(json.dumps(made_of, sort_keys=True).encode()))
    problems = cache.problems()
    if problems is None:
        _sweep(cache.folder)
        problems = cache.build(digests, reporter, workers)
    return cache.opened(problems)


def packed_as(
    dataset: Dataset, preprocess: Preprocess, folder: str | os.PathLike[str], key: str
) -> PackedImages | None:
    """Return images that were packed before, without reading any; None if they are not there and whole.

    Args:
        dataset: the one that was packed.
        preprocess: with which it was packed.
        folder: where it was packed.
        key: `PackedImages.digest`.
    """
    cache = _Cache(dataset, preprocess, Path(folder), key)
    problems = cache.problems()
    return None if problems is None else cache.opened(problems)


@dataclass(frozen=True)
class _Problems:
    """Why items are left out, and what may be wrong with others, by item index."""

    errors: dict[int, str] = field(default_factory=dict)
    warnings: dict[int, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _Cache:
    """Two files in `folder`: KEY.u8, the rows, then KEY.json with their digest, each put in place whole."""

    dataset: Dataset
    preprocess: Preprocess
    folder: Path
    key: str

    @property
    def _pixels(self) -> Path:
        return self.folder / f"{self.key}.u8"

    @property
    def _description(self) -> Path:
        return self.folder / f"{self.key}.json"

    def problems(self) -> _Problems | None:
        """Return the problems of a cache that is there and matches its own digest, else None."""
        try:
            values: dict[str, Any] = read_json(self._description)
            problems = _Problems(_by_item(values["errors"]), _by_item(values["warnings"]))
            size = values["rows"] * self.preprocess.height * self.preprocess.width * 3
            if self._pixels.stat().st_size != size or file_digest(self._pixels) != values["sha256"]:
                return None
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None
        return problems

    def build(self, digests: Sequence[str], progress: Progress, workers: int | None) -> _Problems:
        """Decode all images, whose files must have these SHA-256 digests."""
        paths = [self.dataset.root / path for path in self.dataset.paths]

        def prepared(index: int) -> Prepared | str:
            try:
                data = read_file(paths[index])
                if digest(data) != digests[index]:
                    raise MangoError(
                        f"{paths[index]} changed while it was being read; run again once nothing writes to it"
                    )
                return self.preprocess.prepare(data)
            except ImageError as error:
                return str(error)

        problems = _Problems()
        content, rows = hashlib.sha256(), 0
        with (
            replacing(self._pixels) as temporary,
            temporary.open("wb") as file,
            progress.task("decoding images", len(paths)) as task,
        ):
            for index, result in enumerate(ordered_map(prepared, range(len(paths)), workers)):
                if isinstance(result, str):
                    problems.errors[index] = result
                else:
                    if result.warning is not None:
                        problems.warnings[index] = result.warning
                    data = result.pixels.tobytes()
                    content.update(data)
                    file.write(data)
                    rows += 1
                task.advance()
        write_json(self._description, {"rows": rows, "sha256": content.hexdigest(), **asdict(problems)})
        return problems

    def opened(self, problems: _Problems) -> PackedImages:
        """Map the rows of a whole cache; raise `UsageError` if it has none."""
        items = self.dataset.items
        index = np.array([number for number in range(len(items)) if number not in problems.errors], np.int64)
        if not len(index):
            raise UsageError(f"none of the {len(items)} images in {self.dataset.root} can be read")
        shape = (len(index), self.preprocess.height, self.preprocess.width, 3)
        return PackedImages(
            images=np.memmap(self._pixels, np.uint8, mode="r", shape=shape),
            labels=self.dataset.labels[index],
            groups=tuple(items[number].group for number in index),
            paths=tuple(items[number].path for number in index),
            index=index,
            errors={items[number].path: reason for number, reason in problems.errors.items()},
            digest=self.key,
            warnings={items[number].path: warning for number, warning in problems.warnings.items()},
        )


def _by_item(values: Mapping[str, Any]) -> dict[int, str]:
    return {int(number): str(text) for number, text in values.items()}


def _sweep(folder: Path) -> None:
    """Remove what killed builds left."""
    for path in folder.glob(".*.part"):
        try:
            if time.time() - path.stat().st_mtime > _STALE:
                path.unlink()
        except FileNotFoundError:  # Another builder swept it.
            continue
