"""From a folder of graded photos to the rows that training, validation and test may see."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mango_grader.datasets import (
    Augment,
    Dataset,
    PackedImages,
    Split,
    make_split,
    pack,
    read_dataset,
)
from mango_grader.datasets.allocate import allocate
from mango_grader.errors import MangoError
from mango_grader.progress import Progress
from mango_grader.runtime import Preprocess
from mango_grader.training.batches import Examples, TensorAugmenter, copied_to, on_tensors
from mango_grader.training.device import Device, pick_device
from mango_grader.workflow.config import DataConfig, RunConfig
from mango_grader.workflow.folder import RunFolder


@dataclass(frozen=True)
class PreparedData:
    """A data set, decoded and split. train, val and test hold disjoint groups. unlabelled: pictures for a teacher."""

    dataset: Dataset
    packed: PackedImages
    preprocess: Preprocess
    split: Split
    train: Examples
    val: Examples
    test: Examples
    unlabelled: Examples | None = None

    def groups(self, examples: Examples) -> list[str]:
        """Return the group of each example; near-duplicates share one."""
        return [self.split.groups[self.packed.index[row]] for row in examples.rows]

    def paths(self, examples: Examples) -> list[str]:
        """Return the path of each example, relative to the data folder."""
        return [self.packed.paths[row] for row in examples.rows]

    def with_val(self) -> "PreparedData":
        """Return the data with the validation pictures among the training ones, too."""
        return replace(self, train=replace(self.train, rows=np.union1d(self.train.rows, self.val.rows)))

    def held_out(self, share: float, seed: int) -> tuple[Examples, Examples]:
        """Part the training examples by group: what weights learn from, and what only the architecture sees.

        A share of 0 shows all of them to both.
        """
        if not share:
            return self.train, self.train
        side = allocate(self.train.targets, self.groups(self.train), (1 - share, share), (seed,))
        rows = self.train.rows
        return replace(self.train, rows=rows[side == 0]), replace(self.train, rows=rows[side == 1])


def augmenter(config: RunConfig, cutout_probability: float | None = None) -> TensorAugmenter:
    """Return what executes the run's augmentation on its device, with another probability of cutout if given."""
    augment = config.augment
    if cutout_probability is not None:
        augment = replace(augment, cutout_probability=cutout_probability)
    return make_augmenter(augment, config.data.height, config.data.width, pick_device(config.device))


def make_augmenter(augment: Augment, height: int, width: int, device: Device) -> TensorAugmenter:
    """Return what executes `augment` on images of `height` × `width`: torch on a GPU, albumentations on CPUs."""
    if device.is_gpu:
        from mango_grader.datasets.torch_augment import TorchAugmenter

        return TorchAugmenter(augment, device.torch)
    # Slow to import, and only needed on machines that train without a GPU.
    from mango_grader.datasets.albumentations import AlbumentationsAugmenter

    return on_tensors(AlbumentationsAugmenter(augment, height, width))


def on_device(data: PreparedData, device: Device) -> PreparedData:
    """Return the same data, its pictures kept on `device` where they fit: batches are then made there."""
    if (further := data.unlabelled) is not None and device.keeps(further.images.nbytes):
        data = replace(data, unlabelled=replace(further, images=copied_to(np.asarray(further.images), device.torch)))
    images = data.packed.images
    if not device.keeps(images.nbytes):
        return data
    kept = copied_to(images, device.torch)
    train, val, test = (replace(part, images=kept) for part in (data.train, data.val, data.test))
    return replace(data, train=train, val=val, test=test)


def prepare(config: DataConfig, folder: RunFolder, progress: Progress) -> PreparedData:
    """Read, check, split (as the folder's split says, if it has one) and pack the data.

    Raises UsageError for options or data that cannot be used, MangoError if no readable picture is left in a part.
    """
    dataset = read_dataset(config.path, config.group_by, config.ordinal)
    for finding in dataset.findings:
        progress.note(f"data: {finding}")
    preprocess = Preprocess(config.height, config.width, config.rotate_portrait)
    packed = pack(dataset, preprocess, folder.path / "cache", progress)
    for path, reason in packed.errors.items():
        progress.note(f"data: left out {path}: {reason}")
    if folder.split.exists():
        split = Split.load(folder.split, dataset)
    else:
        split = make_split(dataset, config.split_seed, config.fold, progress=progress)
        split.save(folder.split, dataset)
    return _part(dataset, packed, preprocess, split)


def _part(dataset: Dataset, packed: PackedImages, preprocess: Preprocess, split: Split) -> PreparedData:
    def rows(part: tuple[int, ...], name: str) -> Examples:
        found: NDArray[np.int64] = np.flatnonzero(np.isin(packed.index, part))
        if not len(found):
            raise MangoError(f"no readable picture is left in the {name} part of {dataset.root}; run `data inspect`")
        return Examples(packed.images, packed.labels, found)

    parts = (rows(split.train, "training"), rows(split.val, "validation"), rows(split.test, "test"))
    return PreparedData(dataset, packed, preprocess, split, *parts)
