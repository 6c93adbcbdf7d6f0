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
    """SHA-256 of a file's bytes and how many there are; of one that cannot be read, the reason instead, and 0."""

    sha256: str
    size: int


@dataclass(frozen=True)
class PackedImages:
    """The readable images of a data set, M rows in its order.

    `images`: uint8 (M, H, W, 3) RGB, memory-mapped, read-only. `labels`, `index`: int64 (M,), class and item index
    of each row. `errors`: reason by path of the images left out. `warnings`: what is doubtful about
    images that are there, by path. `digest` names the pixels: content and preprocessing.
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
    workers: int | None = None,
    known: Sequence[Fingerprint] | None = None,
) -> PackedImages:
    """Return the preprocessed images, from `folder` if they are there and whole, else decoded on all cores.

    All files are read, unless `known` are their fingerprints, to name the cache by their SHA-256, so no stale pixels
    are ever used. It is two files: KEY.u8, the rows, then KEY.json with their digest, each put in place whole. A build
    that is interrupted, or races with another (both write the same bytes), leaves nothing that would be taken for a
    cache; what does not match its digest is built anew.

    Raises `UsageError` if no image is readable, `MangoError` if a file changes meanwhile.
    """
    reporter = progress or SilentProgress()
    found = known or fingerprints([dataset.root / path for path in dataset.paths], reporter, workers)
    digests = [each.sha256 for each in found]
    made_of = [_FORMAT, readers(), preprocess.to_dict(), digests]
    key = digest(json.dumps(made_of, sort_keys=True).encode())
    home = Path(folder)
    problems = _whole(home, key, preprocess)
    if problems is None:
        _sweep(home)
        problems = _build(dataset, preprocess, home, key, digests, reporter, workers)
    return _mapped(dataset, preprocess, home, key, problems)


def packed_as(
    dataset: Dataset, preprocess: Preprocess, folder: str | os.PathLike[str], key: str
) -> PackedImages | None:
    """Return the images that `pack` put into `folder` under the name `key`; None if they are not there and whole.

    No image is read: `dataset` must be the one that was packed.
    """
    problems = _whole(Path(folder), key, preprocess)
    return None if problems is None else _mapped(dataset, preprocess, Path(folder), key, problems)


@dataclass(frozen=True)
class _Problems:
    """Why items are left out, and what is doubtful about others, by item index."""

    errors: dict[int, str] = field(default_factory=dict)
    warnings: dict[int, str] = field(default_factory=dict)


def _mapped(dataset: Dataset, preprocess: Preprocess, home: Path, key: str, problems: _Problems) -> PackedImages:
    index = np.array([number for number in range(len(dataset.items)) if number not in problems.errors], np.int64)
    if not len(index):
        raise UsageError(f"none of the {len(dataset.items)} images in {dataset.root} can be read")
    shape = (len(index), preprocess.height, preprocess.width, 3)
    items = [dataset.items[number] for number in index]
    return PackedImages(
        images=np.memmap(_pixels(home, key), np.uint8, mode="r", shape=shape),
        labels=dataset.labels[index],
        groups=tuple(item.group for item in items),
        paths=tuple(item.path for item in items),
        index=index,
        errors={dataset.items[number].path: reason for number, reason in problems.errors.items()},
        digest=key,
        warnings={dataset.items[number].path: warning for number, warning in problems.warnings.items()},
    )


def _pixels(home: Path, key: str) -> Path:
    return home / f"{key}.u8"


def fingerprints(
    paths: Sequence[Path], progress: Progress | None = None, workers: int | None = None
) -> list[Fingerprint]:
    """Read every file once, on all cores, and return its fingerprint."""
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


def _whole(home: Path, key: str, preprocess: Preprocess) -> _Problems | None:
    """Return the problems of a cache that is there and matches its own digest, else None."""
    try:
        values: dict[str, Any] = read_json(home / f"{key}.json")
        problems = _Problems(_by_item(values["errors"]), _by_item(values["warnings"]))
        path = _pixels(home, key)
        size = values["rows"] * preprocess.height * preprocess.width * 3
        if path.stat().st_size != size or file_digest(path) != values["sha256"]:
            return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return problems


def _by_item(values: Mapping[str, Any]) -> dict[int, str]:
    return {int(number): str(text) for number, text in values.items()}


def _build(
    dataset: Dataset,
    preprocess: Preprocess,
    home: Path,
    key: str,
    digests: Sequence[str],
    progress: Progress,
    workers: int | None,
) -> _Problems:
    def one(index: int) -> Prepared | str:
        path = dataset.root / dataset.items[index].path
        try:
            data = read_file(path)
            if digest(data) != digests[index]:
                raise MangoError(f"{path} changed while it was being read; run again when the folder is at rest")
            return preprocess.prepare(data)
        except ImageError as error:
            return str(error)

    problems = _Problems()
    content, rows = hashlib.sha256(), 0
    with (
        replacing(_pixels(home, key)) as temporary,
        temporary.open("wb") as file,
        progress.task("decoding images", len(dataset.items)) as task,
    ):
        for index, result in enumerate(ordered_map(one, range(len(dataset.items)), workers)):
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
    write_json(home / f"{key}.json", {"rows": rows, "sha256": content.hexdigest(), **asdict(problems)})
    return problems


def _sweep(home: Path) -> None:
    for path in home.glob(".*.part"):
        try:
            if time.time() - path.stat().st_mtime > _STALE:
                path.unlink()
        except FileNotFoundError:  # Another builder swept it.
            continue
