"""From a folder of labelled photos to the rows that training, validation and test may see."""

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from mango_grader.datasets import (
    Augment,
    Dataset,
    PackedImages,
    Split,
    make_split,
    pack,
    read_dataset,
)
from mango_grader.datasets.cache import fingerprints, link_packed, packed_as
from mango_grader.datasets.reading.reviews import read_review
from mango_grader.datasets.record import DataRecord
from mango_grader.datasets.splits import assign_groups, check_divisible
from mango_grader.errors import MangoError, UsageError
from mango_grader.files import read_json, write_bytes
from mango_grader.progress import Progress
from mango_grader.runtime import Preprocess
from mango_grader.text import about, is_printable, one_line
from mango_grader.training.batches import Examples, TensorAugmenter, copied_to, on_tensors
from mango_grader.training.device import Device, pick_device
from mango_grader.workflow.config import DataConfig, RunConfig
from mango_grader.workflow.run.data_changes import (
    UNRECORDED,
    data_root,
    describe_changes,
    inspect_data,
    packed_again,
    require_same,
)
from mango_grader.workflow.run.folder import RunFolder


@dataclass(frozen=True)
class PreparedData:
    """A data set, decoded and split by group.

    Attributes:
        dataset: the labelled images.
        packed: their pixels, decoded and fitted to the network's input; unreadable images are left out.
        preprocess: how they were fitted.
        split: which images are in which part, and the group of each.
        train: examples to learn from.
        val: examples for calibration and thresholds.
        test: examples for the figures; they touch no choice.
        unlabelled: further images, for a teacher to answer; None for none.
    """

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
        """Return the data with the validation images among the training ones, too."""
        return replace(self, train=replace(self.train, rows=np.union1d(self.train.rows, self.val.rows)))

    def held_out(self, share: float, seed: int) -> tuple[Examples, Examples]:
        """Return what the weights learn from and what only the architecture sees, split by group.

        Args:
            share: of the training examples that is held out, in [0, 1); 0 shows all of them to both.
            seed: of that split.
        """
        if not share:
            return self.train, self.train
        side = assign_groups(self.train.targets, self.groups(self.train), (1 - share, share), (seed,))
        rows = self.train.rows
        return replace(self.train, rows=rows[side == 0]), replace(self.train, rows=rows[side == 1])


def refitted(data: PreparedData, height: int, width: int, cache: Path, progress: Progress) -> PreparedData:
    """Return the same images, in the same parts, fitted to another size; unlabelled ones are left out.

    Args:
        data: of a run.
        height: in pixels.
        width: in pixels.
        cache: folder that keeps the pixels.
        progress: told how far decoding is.
    """
    preprocess = replace(data.preprocess, height=height, width=width)
    packed = pack(data.dataset, preprocess, cache, progress)
    again = part_data(data.dataset, packed, preprocess, data.split)
    parts = {name: replace(getattr(again, name), rows=getattr(data, name).rows) for name in ("train", "val", "test")}
    return replace(again, **parts)


def augmenter(config: RunConfig, augment: Augment | None = None) -> TensorAugmenter:
    """Return what executes the run's augmentation on its device.

    Args:
        config: of the run.
        augment: how images are varied; None takes the run's own.
    """
    return make_augmenter(augment or config.augment, config.data.height, config.data.width, pick_device(config.device))


def make_augmenter(augment: Augment, height: int, width: int, device: Device) -> TensorAugmenter:
    """Return what executes an augmentation: torch on a GPU, albumentations on a CPU.

    Args:
        augment: how images are varied.
        height: of the images, in pixels.
        width: of the images, in pixels.
        device: where networks compute.
    """
    if device.is_gpu:
        from mango_grader.datasets.augmentation.torch_augment import TorchAugmenter

        return TorchAugmenter(augment, device.torch)
    # Slow to import, and only needed on machines that train without a GPU.
    from mango_grader.datasets.augmentation.albumentations import AlbumentationsAugmenter

    return on_tensors(AlbumentationsAugmenter(augment, height, width))


def on_device(data: PreparedData, device: Device) -> PreparedData:
    """Return the same data, its images kept on the device where they fit, so that batches are made there.

    Args:
        data: of a run.
        device: where networks compute.
    """
    further, images = data.unlabelled, data.packed.images
    if further is not None and not isinstance(further.images, Tensor) and device.keeps(further.images.nbytes):
        data = replace(data, unlabelled=replace(further, images=copied_to(further.images, device.torch)))
    if not device.keeps(images.nbytes):
        return data
    kept = copied_to(images, device.torch)
    train, val, test = (replace(part, images=kept) for part in (data.train, data.val, data.test))
    return replace(data, train=train, val=val, test=test)


def prepare(config: DataConfig, folder: RunFolder, progress: Progress) -> PreparedData:
    """Read, check, split and pack the data of a run, and record in its folder what they were.

    A run that has such a record goes on with the classes, labels, groups and split in it.

    Args:
        config: where the data are, and how they are split and fitted.
        folder: of the run.
        progress: told what is found.

    Raises:
        UsageError: options or data cannot be used, or images or labels are not those of the record.
        MangoError: no readable image is left in a part.
    """
    preprocess = Preprocess(config.height, config.width, config.rotate_portrait)
    dataset, packed = _recorded(config, folder, preprocess, progress) or _new(config, folder, preprocess, progress)
    for path, reason in packed.errors.items():
        progress.note(one_line(f"data: left out {path}: {reason}"))
    if packed.warnings:
        doubtful = [f"{path} ({warning})" for path, warning in packed.warnings.items()]
        progress.note(f"data: {about(doubtful, 'image', 'to check')}")
    if not folder.split.exists():
        split = make_split(dataset, config.split_seed, config.fold, progress=progress)
        split.save(folder.split, dataset)
        for finding in split.findings:
            progress.note(f"data: {finding}")
    data = part_data(dataset, packed, preprocess, Split.load(folder.split, dataset))
    if dataset.reviewed is not None:
        learned = set(data.train.targets.tolist())
        if lost := [name for label, name in enumerate(dataset.classes) if label not in learned]:
            raise UsageError(f"the reviewed labels leave no training image of class {', '.join(lost)}")
    return data


def _new(
    config: DataConfig, folder: RunFolder, preprocess: Preprocess, progress: Progress
) -> tuple[Dataset, PackedImages]:
    whole = read_dataset(config.path, config.group_by, config.ordinal)
    dataset = whole if config.labels is None else read_review(config.labels).apply(whole)
    if odd := [name for name in dataset.classes if not is_printable(name)]:  # a bundle would refuse it in the end
        raise UsageError(f"{config.path}: class {odd[0]!a} holds characters that no line shows; rename it")
    _describe(dataset, progress)
    for finding in dataset.findings:
        progress.note(f"data: {finding}")
    check_divisible(dataset)
    if folder.begun:
        progress.note(f"data: {UNRECORDED}")
    found = fingerprints(dataset.root, dataset.paths, progress)
    link_packed(found, preprocess, folder.cache, folder.other_caches())
    packed = pack(dataset, preprocess, folder.cache, progress, known=found)
    if not folder.split.exists():
        # By the labels before their review, so that a review moves no image to another part.
        make_split(whole, config.split_seed, config.fold, progress=progress).save(folder.split, whole)
    if config.labels is not None:
        write_bytes(folder.reviewed, Path(config.labels).read_bytes())
    DataRecord.of(dataset, found, packed).save(folder.data)
    return dataset, packed


def _recorded(
    config: DataConfig, folder: RunFolder, preprocess: Preprocess, progress: Progress
) -> tuple[Dataset, PackedImages] | None:
    """Return the data as the run recorded them, None if it did not; raises UsageError if they have changed."""
    if not folder.data.exists():
        return None
    record, own = DataRecord.load(folder.data), folder.own_labels(config)
    now = inspect_data(record, own, progress)
    if now is None:
        raise UsageError(
            f"the images of {folder.path} are no longer at {config.path}; say where they are now: "
            + folder.resuming(data="DIR")
        )
    require_same(now, f"the data in {config.path}", folder.path, progress)
    _describe(record.dataset(folder.path), progress)
    if own != config:
        progress.note(f"data: the reviewed labels are those that the run began with, in {own.labels}")
    return packed_again(now, data_root(config.path), preprocess, folder.cache, progress)


def _describe(dataset: Dataset, progress: Progress) -> None:
    progress.note(dataset.labels_line)
    if dataset.reviewed is not None:
        progress.note(str(dataset.reviewed))


def finished_data(
    folder: RunFolder, config: DataConfig, scratch: Path, progress: Progress, *, moved: bool
) -> PreparedData:
    """Return the data of a finished run as it had them; its folder stays unchanged.

    Pixels come from the run's cache, so that what has changed since is reported and does not count. The images are
    read where the cache is not whole any more, or where they were moved.

    Args:
        folder: of the run.
        config: where the data are.
        scratch: folder for pixels that have to be decoded again.
        progress: told what has changed.
        moved: whether `config` names a new place.

    Raises:
        UsageError: the images have to be read, and are gone or changed.
    """
    preprocess = Preprocess(config.height, config.width, config.rotate_portrait)
    if not folder.data.exists():
        dataset = _unrecorded(folder, config, progress)
        decoded = pack(dataset, preprocess, scratch, progress)
        return part_data(dataset, decoded, preprocess, Split.load(folder.split, dataset))
    record, config = DataRecord.load(folder.data), folder.own_labels(config)
    dataset = record.dataset(data_root(config.path))
    packed = packed_as(dataset, preprocess, folder.cache, record.pixels)
    if packed is None or moved:
        now = inspect_data(record, config, progress)
        if now is None:
            raise UsageError(
                f"{folder.cache} is not whole, and the images are no longer at {config.path}; say where: --data DIR"
            )
        if now.changes.of_images:
            raise UsageError(
                f"the data in {config.path} are not those that {folder.path} was trained on: {now.changes}"
            )
        known = [now.found[path] for path in dataset.paths]
        packed = packed or pack(dataset, preprocess, scratch, progress, known=known)
        changes = f"changed since the run: {now.changes}" if now.changes else None
    else:
        changes = describe_changes(record, config, progress)
    if changes is not None:
        progress.note(f"data: {changes}; the model is exported as it was trained")
    return part_data(dataset, packed, preprocess, Split.load(folder.split, dataset))


def _unrecorded(folder: RunFolder, config: DataConfig, progress: Progress) -> Dataset:
    """Return the data of a run of an older version, their classes in the run's order.

    Raises UsageError where the run's test images have other labels now.
    """
    dataset = read_dataset(config.path, config.group_by, config.ordinal)
    metrics = read_json(folder.metrics)
    classes = tuple(map(str, metrics["classes"]))
    rows = map(json.loads, folder.predictions.read_text(encoding="utf-8").splitlines())
    labels = {item.path: dataset.classes[item.label] for item in dataset.items}
    others = [row["path"] for row in rows if labels.get(row["path"]) != row["label"]]
    if others or set(classes) != set(dataset.classes):
        shown = f", for example that of {others[0]}" if others else ""
        raise UsageError(
            f"{folder.path} was trained on the classes {', '.join(classes)}; the labels in {config.path} have"
            f" changed{shown}; restore them to export it"
        )
    progress.note(f"data: {UNRECORDED}, except that the test images have the labels that they had")
    items = (replace(item, label=classes.index(dataset.classes[item.label])) for item in dataset.items)
    return replace(dataset, classes=classes, items=tuple(items), ordinal=bool(metrics["ordinal"]))


def part_data(dataset: Dataset, packed: PackedImages, preprocess: Preprocess, split: Split) -> PreparedData:
    """Return the data with the rows of each part.

    Args:
        dataset: the labelled images.
        packed: their pixels.
        preprocess: how they were fitted.
        split: which images are in which part.

    Raises:
        MangoError: no readable image is left in a part.
    """

    def rows(part: tuple[int, ...], name: str) -> Examples:
        found: NDArray[np.int64] = np.flatnonzero(np.isin(packed.index, part))
        if not len(found):
            raise MangoError(f"no readable image is left in the {name} part of {dataset.root}; run `data inspect`")
        return Examples(packed.images, packed.labels, found)

    parts = (rows(split.train, "training"), rows(split.val, "validation"), rows(split.test, "test"))
    return PreparedData(dataset, packed, preprocess, split, *parts)
