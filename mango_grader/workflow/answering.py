"""What a model answers to graded photos at every exit, and how long that takes, one image at a time."""

import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mango_grader.datasets import Dataset, Split
from mango_grader.datasets.duplicates import merge_groups
from mango_grader.datasets.same_fruit import find_same_fruit
from mango_grader.datasets.scan import scan
from mango_grader.errors import ImageError, MangoError
from mango_grader.progress import Progress
from mango_grader.runtime import Grader
from mango_grader.runtime.exits import Deadline, Full
from mango_grader.training.combinations import Stops


@dataclass(frozen=True)
class GradedImages:
    """Graded photos to evaluate a model on.

    Attributes:
        dataset: that they are of.
        indices: which of its items they are.
        groups: name of each item's group, also of those that are not evaluated.
    """

    dataset: Dataset
    indices: tuple[int, ...]
    groups: tuple[str, ...]

    def path(self, index: int) -> str:
        """Return the file of an item."""
        return str(self.dataset.root / self.dataset.items[index].path)

    def label(self, index: int) -> str:
        """Return the class of an item."""
        return self.dataset.classes[self.dataset.items[index].label]

    def names(self, index: int) -> tuple[str, str, str]:
        """Return path within the data set, class and group of an item."""
        return self.dataset.items[index].path, self.label(index), self.groups[index]


def graded_images(dataset: Dataset, split: str | None, progress: Progress) -> GradedImages:
    """Return the images of a data set, or those of its part that a split kept for tests.

    Args:
        dataset: the graded photos.
        split: a run's split.json; None for all images.
        progress: told what the folder holds.
    """
    progress.note(dataset.labels_line)
    if dataset.reviewed is not None:
        progress.note(str(dataset.reviewed))
    for finding in dataset.findings:
        progress.note(f"data: {finding}")
    if split:
        parts = Split.load(split, dataset)
        return GradedImages(dataset, parts.test, parts.groups)
    groups = dataset.groups
    if dataset.grouping == "found":
        found = find_same_fruit(dataset, scan(dataset, progress), progress)
        groups = merge_groups(groups, found.matches.pairs)
        if found.skipped:
            progress.note(f"data: {found.skipped}; pass --group-by, or intervals take photos of one fruit for several")
    return GradedImages(dataset, tuple(range(len(dataset.items))), tuple(groups))


@dataclass(frozen=True, eq=False)
class EveryExit:
    """What every exit answered.

    Attributes:
        indices: items of the N images that have an answer.
        probabilities: (K, N, C), calibrated.
        passed_ms: (K, N), milliseconds from the start of decoding to each exit's answer, one image at a time.
        errors: by item, why another image has no answer.
    """

    indices: tuple[int, ...]
    probabilities: NDArray[np.float32]
    passed_ms: NDArray[np.float64]
    errors: dict[int, str]


def answer_every_exit(grader: Grader, images: GradedImages, progress: Progress) -> EveryExit:
    """Return the answers of every exit, one image after another; raise `MangoError` if no image gets one.

    Args:
        grader: its model is run.
        images: to grade.
        progress: told of each image.
    """
    answered: list[int] = []
    answers: list[NDArray[np.float32]] = []
    passed: list[NDArray[np.float64]] = []
    errors: dict[int, str] = {}
    with progress.task("evaluate", len(images.indices)) as task:
        for index in images.indices:
            _read_ahead(images.path(index))
            start = time.perf_counter()
            try:
                pixels = grader.manifest.preprocess(images.path(index))
                decode_ms = (time.perf_counter() - start) * 1e3
                found = grader.model.run(pixels[None], Full(), start)
                if not np.isfinite(found.history).all():
                    raise ImageError("the model gave no finite answer")
            except ImageError as error:
                errors[index] = str(error)
            else:
                answered.append(index)
                answers.append(found.history)
                passed.append(decode_ms + np.cumsum(found.stage_ms, axis=0))
            task.advance()
    if not answered:
        raise MangoError(
            f"no image of {images.dataset.root} can be graded: {next(iter(errors.values()), 'there is none')}"
        )
    return EveryExit(tuple(answered), np.concatenate(answers, axis=1), np.concatenate(passed, axis=1), errors)


def keep_deadline(
    grader: Grader, policy: Deadline, images: GradedImages, indices: tuple[int, ...], progress: Progress
) -> Stops:
    """Return where a deadline stopped images that were graded one after another, as fast as this host does.

    Args:
        grader: its model is run.
        policy: with the deadline; it learns the times of the stages on the way.
        images: to grade.
        indices: items of the N images, all of which can be decoded.
        progress: told of each image.
    """
    history, exits, ms, late = [], [], [], []
    with progress.task(str(policy), len(indices)) as task:
        for index in indices:
            _read_ahead(images.path(index))
            start = time.perf_counter()
            pixels = grader.manifest.preprocess(images.path(index))
            decode_ms = (time.perf_counter() - start) * 1e3
            found = grader.model.run(pixels[None], policy, start)
            late.append(policy.missed(start))
            policy.times.learn(found.stage_ms[:, 0].tolist())
            history.append(found.history)
            exits.append(found.exits)
            ms.append(decode_ms + found.infer_ms)
            task.advance()
    return Stops(np.concatenate(history, axis=1), np.concatenate(exits), np.concatenate(ms), np.array(late, bool))


def _read_ahead(path: str) -> None:
    """Have the system keep a file in memory, so that all policies are timed alike, whichever reads it first."""
    with suppress(OSError):
        Path(path).read_bytes()
