"""Images for the studies: another part of a data set for each seed, and test parts that do not overlap."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import ClassVar, Protocol

import numpy as np
from PIL import Image

from mango_grader.datasets import Augment, Dataset, Item, PackedImages, Split
from mango_grader.progress import SilentProgress
from mango_grader.runtime import Preprocess
from mango_grader.training.batches import Examples
from mango_grader.workflow.config import DataConfig
from mango_grader.workflow.run.data import PreparedData, prepare
from mango_grader.workflow.run.folder import RunFolder

PARTS = 5
"""How many seeds have test parts of their own."""


class Source(Protocol):
    """Where a study's images come from, and how they are augmented; cutout is for the studies to switch."""

    augment: ClassVar[Augment]

    def prepared(self, seed: int) -> PreparedData:
        """Return the parts for this seed."""

    def __str__(self) -> str:
        """Name the data and their size."""


@dataclass(frozen=True)
class Cifar10:
    """A random subset of CIFAR-10 (Parquet files of `jpeg` and `label`) for each seed; every image is a group."""

    path: str
    train: int = 1600
    val: int = 1000
    test: int = 2000
    # As usual for CIFAR-10: flips, shifts of 4 pixels, and holes of at most 16 × 16.
    augment: ClassVar[Augment] = Augment(
        horizontal_flip=0.5, vertical_flip=0.0, rotate=0.0, shift=0.125, scale=0.0, brightness=0.0, contrast=0.0,
        saturation=0.0, hue=0.0, cutout=0.5, cutout_probability=0.0,
    )  # fmt: skip

    def prepared(self, seed: int) -> PreparedData:
        return _cifar10(self, seed)

    def __str__(self) -> str:
        return f"CIFAR-10, {self.train} training and {self.test} test images a seed, 32×32"


@lru_cache(maxsize=2)
def _cifar10(source: Cifar10, seed: int) -> PreparedData:
    learned = np.random.default_rng(seed).permutation(_rows(source, "train"))[: source.train + source.val].tolist()
    tested = np.random.default_rng(0).permutation(_rows(source, "test"))  # one order, of which seeds take slices
    of_seed = tested[source.test * (seed % PARTS) :][: source.test].tolist()
    read = [*_read(source, "train", learned), *_read(source, "test", of_seed)]
    classes = tuple(sorted({label for _, _, label in read}))
    items = tuple(Item(name, classes.index(label), name) for name, _, label in read)
    dataset = Dataset(Path(source.path), classes, items)
    images, index = np.stack([pixels for _, pixels, _ in read]), np.arange(len(read))
    packed = PackedImages(images, dataset.labels, tuple(dataset.groups), tuple(dataset.paths), index, {}, f"{seed}")
    bounds = (source.train, source.train + source.val)
    parts = [Examples(images, dataset.labels, rows) for rows in np.split(index, bounds)]
    train, val, test = (tuple(part.rows.tolist()) for part in parts)
    split = Split(train, val, test, tuple(dataset.groups))
    return PreparedData(dataset, packed, Preprocess(*images.shape[1:3]), split, *parts)


def _rows(source: Cifar10, part: str) -> int:
    from pyarrow import parquet  # the `parquet` extra

    return int(parquet.read_metadata(Path(source.path, f"{part}.parquet")).num_rows)


def _read(source: Cifar10, part: str, rows: Sequence[int]) -> list[tuple[str, np.ndarray, str]]:
    from pyarrow import parquet

    table = parquet.read_table(Path(source.path, f"{part}.parquet")).take(rows)
    return [
        (f"{part}/{row}", np.asarray(Image.open(io.BytesIO(jpeg)).convert("RGB")), label)
        for row, jpeg, label in zip(
            rows, table.column("jpeg").to_pylist(), table.column("label").to_pylist(), strict=True
        )
    ]


@dataclass(frozen=True)
class Fruit:
    """A folder of fruit, split by group; each seed tests another fold. work: where decoded images are kept."""

    path: str
    group_by: str | None
    size: int
    work: str
    augment: ClassVar[Augment] = Augment()

    def prepared(self, seed: int) -> PreparedData:
        return _fruit(self, seed)

    def __str__(self) -> str:
        return f"{Path(self.path).name}, {PARTS} folds by group, a fold a seed, {self.size}×{self.size}"


@lru_cache(maxsize=2)
def _fruit(source: Fruit, seed: int) -> PreparedData:
    folder = Path(source.work, f"{Path(source.path).name}-{source.size}-{seed}")
    folder.mkdir(parents=True, exist_ok=True)
    fold = (seed % PARTS + 1, PARTS)
    config = DataConfig(source.path, source.group_by, fold=fold, height=source.size, width=source.size)
    return prepare(config, RunFolder(folder), SilentProgress())
