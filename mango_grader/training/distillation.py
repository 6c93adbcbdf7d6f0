"""A teacher's logits for batches, computed anew at each step or once and kept, and the teacher's own accuracy."""

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mango_grader.errors import UsageError
from mango_grader.files import write_bytes
from mango_grader.progress import Progress
from mango_grader.training.batches import Batch, Batches, BatchSeries, Examples
from mango_grader.training.bootstrap import Estimate, GroupBootstrap
from mango_grader.training.checkpoint import damaged

Teacher = Callable[[Tensor], Tensor]
"""From images, uint8 (N, H, W, 3), to logits, float32 (N, classes), wherever the teacher computes."""

_PART = 32  # steps to a file: what a kill may cost


class MixedBatches:
    """Batches of labelled images followed by unlabelled ones; an epoch is one of the labelled images.

    Args:
        labelled: the images with labels.
        unlabelled: the others; their labels are not read.
    """

    def __init__(self, labelled: Batches, unlabelled: Batches) -> None:
        self.labelled, self.unlabelled = labelled, unlabelled
        self.per_epoch = labelled.per_epoch
        self.batch_size = labelled.batch_size + unlabelled.batch_size

    @property
    def examples(self) -> Examples:
        """The labelled examples."""
        return self.labelled.examples

    def __getitem__(self, step: int) -> Batch:
        labelled, unlabelled = self.labelled[step], self.unlabelled[step]
        return Batch(torch.cat([labelled.images, unlabelled.images]), labelled.labels)


class DistillationBatches:
    """The batches of another series, with a teacher's logits.

    Args:
        batches: the other series.
        logits: from a step and its images to the teacher's logits.
        period: number of steps after which the batches repeat; None for never.
    """

    def __init__(self, batches: BatchSeries, logits: Callable[[int, Tensor], Tensor], period: int | None) -> None:
        self.batches, self._logits, self._period = batches, logits, period
        self.per_epoch, self.batch_size = batches.per_epoch, batches.batch_size

    @classmethod
    def uncached(
        cls, batches: BatchSeries, teacher: Teacher, shown: BatchSeries | None = None
    ) -> "DistillationBatches":
        """Ask the teacher about each batch when it is used.

        Args:
            batches: endless; what the student sees.
            teacher: gives the logits.
            shown: the same images in the same order, augmented alike, as the teacher sees them; None for `batches`.

        Raises:
            UsageError: at the first logits that are not finite. They are not looked at on a GPU, which would have to
                wait; there the student's loss shows them.
        """

        def logits(step: int, images: Tensor) -> Tensor:
            given = teacher(images if shown is None else shown[step].images)
            if not given.is_cuda:
                _finite(given.numpy())
            return given

        return cls(batches, logits, None)

    @classmethod
    def cached(cls, batches: BatchSeries, parts: Sequence[NDArray[np.float32]]) -> "DistillationBatches":
        """Repeat the steps whose logits `cache_logits` returned: batch i is batch i modulo their number.

        A batch, its order, augmentation and left-out examples included, is a function of its step, so the logits belong
        to the images that the student sees.

        Args:
            batches: what the student sees of those of which the teacher was asked.
            parts: what `cache_logits` returned.
        """

        def logits(step: int, _: Tensor) -> Tensor:
            part, place = divmod(step, _PART)
            return torch.from_numpy(np.array(parts[part][place]))

        return cls(batches, logits, sum(map(len, parts)))

    @property
    def examples(self) -> Examples:
        """The labelled examples."""
        return self.batches.examples

    def __getitem__(self, step: int) -> Batch:
        if self._period:
            step %= self._period
        batch = self.batches[step]
        return replace(batch, teacher_logits=self._logits(step, batch.images))


def cache_logits(
    batches: BatchSeries, teacher: Teacher, steps: int, folder: Path, progress: Progress
) -> list[NDArray[np.float32]]:
    """Return the teacher's logits for the first batches: (≤ 32, batch_size, C) a part.

    They are read into memory: mapped, each part would take one of the files that a process may open.

    Args:
        batches: whose images the teacher sees.
        teacher: gives the logits.
        steps: number of batches.
        folder: each part is a .npy file there; parts that are there already are not computed again.
        progress: counts the batches.

    Raises:
        UsageError: for a teacher whose logits are not finite.
    """
    paths = {start: folder / f"{start:06d}.npy" for start in range(0, steps, _PART)}
    done = sum(min(_PART, steps - start) for start, path in paths.items() if path.exists())
    with progress.task("teacher answers", steps, done) as task:
        for start, path in paths.items():
            if path.exists():
                continue
            answers = []
            for step in range(start, min(start + _PART, steps)):
                answers.append(_finite(teacher(batches[step].images).cpu().numpy()))
                task.advance()
            packed = io.BytesIO()  # of a full disk, numpy itself tells neither that nor which file
            np.save(packed, np.stack(answers).astype(np.float32, copy=False), allow_pickle=False)
            write_bytes(path, packed.getvalue())
    return [_read(path) for path in paths.values()]


def _read(path: Path) -> NDArray[np.float32]:
    try:
        answers: NDArray[np.float32] = np.load(path, allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise damaged(path, error) from error
    return answers


def teacher_logits(teacher: Teacher, examples: Examples, batch_size: int = 128) -> NDArray[np.float32]:
    """Return the teacher's logits (N, C) for N examples without augmentation.

    Args:
        teacher: gives the logits.
        examples: N images.
        batch_size: number of images that the teacher sees at once.

    Raises:
        UsageError: for a teacher whose logits are not finite.
    """
    return _finite(np.concatenate([teacher(batch.images).cpu().numpy() for batch in examples.in_order(batch_size)]))


@dataclass(frozen=True)
class TeacherFigures:
    """What a teacher itself achieves on the data of its student.

    Attributes:
        name: of the teacher.
        val: accuracy on validation images, 0..1, with its interval over groups.
        test: accuracy on test images, likewise.
    """

    name: str
    val: Estimate
    test: Estimate

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "TeacherFigures":
        """Rebuild from plain data."""
        return cls(data["name"], Estimate(**data["val"]), Estimate(**data["test"]))


def teacher_accuracy(teacher: Teacher, examples: Examples, groups: Sequence[str], seed: int) -> Estimate:
    """Return the share of `examples` that the teacher answers correctly.

    Args:
        teacher: whose answers are counted.
        examples: N labelled images.
        groups: N names, the group of each example.
        seed: of the bootstrap over groups.
    """
    correct = teacher_logits(teacher, examples).argmax(1) == examples.targets
    rows = np.stack([correct, np.ones(len(correct))], axis=1)
    return GroupBootstrap(groups, seed).estimate(rows, lambda sums: np.asarray(sums[:, 0] / sums[:, 1]))


def _finite(answers: NDArray[np.float32]) -> NDArray[np.float32]:
    if not np.isfinite(answers).all():
        raise UsageError("the teacher's answers to some images are not finite numbers; choose another --teacher")
    return answers
