"""The packed cache: each image decoded once, kept as memory-mapped uint8 under a name made of its content."""

import json
import os
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mango_grader.cores import ordered_map
from mango_grader.datasets.dataset import Dataset
from mango_grader.datasets.shards import SHARD_BYTES, ImageRows, Problems, Shard, ShardedImages, shard_count
from mango_grader.errors import ImageError, MangoError, UsageError
from mango_grader.files import digest
from mango_grader.progress import Progress, SilentProgress
from mango_grader.runtime.images.decode import read_file
from mango_grader.runtime.images.formats import readers
from mango_grader.runtime.images.preprocess import Prepared, Preprocess
from mango_grader.text import counted

__all__ = ["Fingerprint", "PackedImages", "fingerprints", "link_packed", "pack", "packed_as"]

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
    root: Path, paths: Sequence[str], progress: Progress | None = None, workers: int | None = None
) -> list[Fingerprint]:
    """Read every file once, on all cores, and return its fingerprint.

    Args:
        root: the data folder.
        paths: image files, relative to it.
        progress: shows how far it is.
        workers: number of threads; None is one per usable core.
    """
    found = []
    with (progress or SilentProgress()).task("checking the images", len(paths)) as task:
        for each in ordered_map(_fingerprint, (root / path for path in paths), workers):
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
        images: uint8 (M, H, W, 3) RGB, memory-mapped from one file or several, read-only.
        labels: int64 (M,), the class index of each row.
        groups: M group names.
        paths: M paths relative to the set's root.
        index: int64 (M,), the item index of each row, ascending.
        errors: reason by path of the images left out.
        digest: names the pixels: content and preprocessing.
        warnings: by path, what may be wrong with images that are there.
    """

    images: ImageRows
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
    shard_bytes: int = SHARD_BYTES,
) -> PackedImages:
    """Return the preprocessed images, from `folder` if they are there and whole, else decoded on all cores.

    The cache is named by the SHA-256 of all files, so that no stale pixels are ever used. Pixels lie in one file, or,
    of a large data set, in several, the shards. A build that is interrupted, or races with another (both write the same
    bytes), leaves only whole shards, which the next one keeps; what does not match its digest is built anew.

    Args:
        dataset: N images on disk.
        preprocess: how each image is fitted to H × W pixels.
        folder: holds caches; made if need be.
        progress: shows how far it is.
        known: the N fingerprints of the images, in order, where they were just read; None reads all files.
        workers: number of threads; None is one per usable core.
        shard_bytes: the most bytes of pixels in one file, as `shard_count` takes it.

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
    found = known or fingerprints(dataset.root, dataset.paths, reporter, workers)
    digests = [each.sha256 for each in found]
    cache = _Cache(dataset, preprocess, Path(folder), _key(preprocess, found))
    whole = cache.found(workers)
    if whole is None:
        _sweep(cache.folder)
        shards = cache.shards(shard_count(len(dataset.items), preprocess.height * preprocess.width * 3, shard_bytes))
        whole = cache.build(shards, digests, reporter, workers)
    return cache.opened(whole)


def link_packed(
    known: Sequence[Fingerprint],
    preprocess: Preprocess,
    folder: str | os.PathLike[str],
    others: Iterable[str | os.PathLike[str]],
) -> None:
    """Let a folder have what other folders hold of the same pixels, as further names of the same files.

    Nothing is read or decoded; `pack` compares what it finds with its digest. Where the file system has no such links,
    nothing happens.

    Args:
        known: the fingerprints of the images, in order.
        preprocess: how images are fitted.
        folder: that `pack` is given next.
        others: folders that it was given before.
    """
    key = _key(preprocess, known)
    for other in others:
        for path in sorted(Path(other).glob(f"{key}*.*")):
            target = Path(folder, path.name)
            target.parent.mkdir(parents=True, exist_ok=True)
            with suppress(OSError):  # It is there already, or the pixels are decoded anew.
                target.hardlink_to(path)


def _key(preprocess: Preprocess, known: Sequence[Fingerprint]) -> str:
    made_of = [_FORMAT, readers(), preprocess.to_dict(), [each.sha256 for each in known]]
    return digest(json.dumps(made_of, sort_keys=True).encode())


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
    whole = cache.found()
    return None if whole is None else cache.opened(whole)


@dataclass(frozen=True)
class _Cache:
    """The shards of one set of pixels in `folder`: KEY alone, or KEY-0000-of-0012 and so on."""

    dataset: Dataset
    preprocess: Preprocess
    folder: Path
    key: str

    def shards(self, count: int) -> list[Shard]:
        """Return the shards, evenly divided: their number says which items are in each."""
        ends = [len(self.dataset.items) * number // count for number in range(count + 1)]
        names = [f"{self.key}-{number:04}-of-{count:04}" for number in range(count)] if count > 1 else [self.key]
        shape = (self.preprocess.height, self.preprocess.width, 3)
        return [
            Shard(self.folder / name, range(start, end), shape)
            for name, start, end in zip(names, ends[:-1], ends[1:], strict=True)
        ]

    def found(self, workers: int | None = None) -> dict[Shard, Problems] | None:
        """Return all shards with their problems if they are there, in however many files, and match their digests."""
        for count in self._counts():
            shards = self.shards(count)
            problems = [found for found in ordered_map(Shard.problems, shards, workers) if found is not None]
            if len(problems) == count:
                return dict(zip(shards, problems, strict=True))
        return None

    def _counts(self) -> Iterator[int]:
        if Path(self.folder, f"{self.key}.json").exists():
            yield 1
        for path in sorted(self.folder.glob(f"{self.key}-0000-of-[0-9][0-9][0-9][0-9].json")):
            yield int(path.stem[-4:])

    def build(
        self, shards: Sequence[Shard], digests: Sequence[str], progress: Progress, workers: int | None
    ) -> dict[Shard, Problems]:
        """Decode the images of those shards that are not whole; their files must have these SHA-256 digests."""

        def prepared(item: int) -> Prepared | str:
            path = self.dataset.root / self.dataset.items[item].path
            try:
                data = read_file(path)
                if digest(data) != digests[item]:
                    raise MangoError(f"{path} changed while it was being read; run again once nothing writes to it")
                return self.preprocess.prepare(data)
            except ImageError as error:
                return str(error)

        kept = dict(zip(shards, ordered_map(Shard.problems, shards, workers), strict=True))
        missing = [shard for shard, problems in kept.items() if problems is None]
        left = sum(len(shard.items) for shard in missing)
        if len(shards) > 1:
            progress.note(self._room(len(shards), left))
        # One stream of images for all shards, so that no core waits at the end of a shard.
        results = ordered_map(prepared, chain.from_iterable(shard.items for shard in missing), workers)
        total = len(self.dataset.items)
        with closing(results), progress.task("decoding images", total, total - left) as task:
            written = {shard: shard.write(islice(results, len(shard.items)), task) for shard in missing}
        return {shard: problems or written[shard] for shard, problems in kept.items()}

    def _room(self, files: int, left: int) -> str:
        self.folder.mkdir(parents=True, exist_ok=True)
        size = left * self.preprocess.height * self.preprocess.width * 3 / 1e9
        free = shutil.disk_usage(self.folder).free / 1e9
        images = counted(left, "image")
        return f"decoding {images} into {self.folder} ({files} files): {size:.1f} GB, {free:.1f} GB are free"

    def opened(self, whole: Mapping[Shard, Problems]) -> PackedImages:
        """Map the rows of a whole cache; raise `UsageError` if it has none."""
        items = self.dataset.items
        errors = dict(chain.from_iterable(problems.errors.items() for problems in whole.values()))
        warnings = dict(chain.from_iterable(problems.warnings.items() for problems in whole.values()))
        index = np.array([number for number in range(len(items)) if number not in errors], np.int64)
        if not len(index):
            raise UsageError(f"none of the {len(items)} images in {self.dataset.root} can be read")
        parts = [rows for shard, problems in whole.items() if (rows := shard.mapped(problems)) is not None]
        return PackedImages(
            images=parts[0] if len(parts) == 1 else ShardedImages(parts),
            labels=self.dataset.labels[index],
            groups=tuple(items[number].group for number in index),
            paths=tuple(items[number].path for number in index),
            index=index,
            errors={items[number].path: reason for number, reason in errors.items()},
            digest=self.key,
            warnings={items[number].path: warning for number, warning in warnings.items()},
        )


def _sweep(folder: Path) -> None:
    """Remove what killed builds left."""
    for path in folder.glob(".*.part"):
        try:
            if time.time() - path.stat().st_mtime > _STALE:
                path.unlink()
        except FileNotFoundError:  # Another builder swept it.
            continue
