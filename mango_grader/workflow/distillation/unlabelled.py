"""Further images without labels: the training learns from the teacher's logits on them."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from mango_grader.datasets import Dataset, PackedImages, pack
from mango_grader.datasets.cache import fingerprints
from mango_grader.datasets.duplicates import near_duplicates
from mango_grader.datasets.record import DataRecord
from mango_grader.datasets.scan import joined, scan
from mango_grader.errors import UsageError
from mango_grader.files import read_json, write_json
from mango_grader.progress import Progress
from mango_grader.runtime import Preprocess
from mango_grader.training.batches import Examples
from mango_grader.workflow.distillation.sources import unlabelled_images
from mango_grader.workflow.run.data import PreparedData
from mango_grader.workflow.run.data_changes import compare_data, packed_again, require_same
from mango_grader.workflow.run.folder import RunFolder


def unlabelled_examples(root: Path, data: PreparedData, folder: RunFolder, progress: Progress) -> Examples:
    """Return the unlabelled images that a teacher answers; those that resemble validation or test images are left out.

    Args:
        root: the folder that holds them.
        data: of the run, labelled.
        folder: of the run, which records what the images were.
        progress: told what is left out.

    Raises:
        UsageError: there is no such image, or they are not those that the run began with.
    """
    dataset, packed = _packed(root, data.preprocess, folder, progress)
    bad = [f"{path}: {reason}" for path, reason in packed.errors.items()]
    record = folder.teacher / "unlabelled.json"
    if not record.exists():
        seen = _seen_elsewhere(dataset, data, progress)
        write_json(record, {"left_out": sorted(dataset.items[index].path for index in seen)})
    left_out = set(read_json(record)["left_out"])
    rows = np.flatnonzero([path not in left_out for path in packed.paths])
    if not len(rows):
        raise UsageError(f"--unlabelled: all {len(packed.paths)} images in {root} are validation or test images")
    progress.note(
        f"unlabelled: {len(rows)} images; left out {len(left_out)} that resemble validation or test images"
        f" and {len(bad)} unreadable"
    )
    for line in bad:
        progress.note(f"unlabelled: left out {line}")
    return Examples(packed.images, packed.labels, rows.astype(np.int64))


def _packed(root: Path, preprocess: Preprocess, folder: RunFolder, progress: Progress) -> tuple[Dataset, PackedImages]:
    """Return the images in `root`; raises UsageError if they are not those that the run began with."""
    found = unlabelled_images(root)
    kept = folder.teacher / "unlabelled-images.json"
    if kept.exists():
        record = DataRecord.load(kept)
        now = compare_data(record, found, progress)
        require_same(now, f"the unlabelled images in {root}", folder.path, progress)
        return packed_again(now, root, preprocess, folder.cache, progress)
    prints = fingerprints(root, found.paths, progress)
    packed = pack(found, preprocess, folder.cache, progress, known=prints)
    DataRecord.of(found, prints, packed).save(kept)
    return found, packed


def _seen_elsewhere(dataset: Dataset, data: PreparedData, progress: Progress) -> set[int]:
    """Return the items of `dataset` that are duplicates or near-duplicates of validation or test images."""
    evaluated = _items(data.dataset, sorted((*data.split.val, *data.split.test)))
    near = near_duplicates(joined(scan(evaluated, progress), scan(dataset, progress)))
    if near.skipped:
        progress.note(f"unlabelled: {near.skipped}; images like validation or test images may be among them")
    count = len(evaluated.items)
    return {int(second) - count for first, second in near.pairs if first < count <= second}


def _items(dataset: Dataset, indices: Sequence[int]) -> Dataset:
    return replace(dataset, items=tuple(dataset.items[index] for index in indices))
