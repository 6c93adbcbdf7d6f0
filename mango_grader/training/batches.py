"""Mini-batches, each a function of the seed and its number, so that a checkpoint need not hold any of them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mango_grader.datasets.augmentation import Augmenter
from mango_grader.datasets.shards import ImageRows

TensorAugmenter = Callable[[Tensor, tuple[int, ...]], Tensor]
"""From images, uint8 (N, H, W, 3), and a seed to changed images, a function of both."""

_CHUNK = 4096  # rows at a time: bounds the memory that a copy to a device takes on the host


@dataclass(frozen=True)
class Batch:
    """Images with labels, and a teacher's logits if there is one.

    Attributes:
        images: uint8 (N, H, W, 3), on the device where they are kept.
        labels: int64 (L,), on the host, of the first L images; the others have none. Mostly L = N.
        teacher_logits: (N, C), on any device; None without a teacher.
    """

    images: Tensor
    labels: Tensor
    teacher_logits: Tensor | None = None


class BatchSeries(Protocol):
    """An endless series of batches of one size; a batch is a function of its number.

    Attributes:
        per_epoch: number of batches in an epoch.
        batch_size: number of images in a batch.
    """

    per_epoch: int
    batch_size: int

    @property
    def examples(self) -> "Examples":
        """The labelled examples."""

    def __getitem__(self, step: int) -> Batch:
        """Return batch `step`, from 0."""


@dataclass(frozen=True)
class Examples:
    """Rows of a packed cache that one purpose may use.

    Attributes:
        images: uint8 (M, H, W, 3) of all rows: on the host, or a tensor on the device that trains.
        labels: int64 (M,) of all rows.
        rows: int64, the indices of the rows that may be used.
    """

    images: ImageRows | Tensor
    labels: NDArray[np.int64]
    rows: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def targets(self) -> NDArray[np.int64]:
        """Labels of the rows, (len,)."""
        return self.labels[self.rows]

    def take(self, positions: NDArray[np.int64]) -> Batch:
        """Return some of the examples.

        Args:
            positions: indices into `rows`.
        """
        rows = self.rows[positions]
        labels = torch.from_numpy(self.labels[rows])
        if isinstance(self.images, Tensor):
            return Batch(self.images[torch.from_numpy(rows).to(self.images.device, non_blocking=True)], labels)
        return Batch(torch.from_numpy(self.images[rows]), labels)

    def shuffled(self, seed: int) -> "Examples":
        """Return the same examples in random order; `rows` are ordered by class, and so would their batches be."""
        return replace(self, rows=np.random.default_rng(seed).permutation(self.rows))

    def in_order(self, batch_size: int) -> Iterator[Batch]:
        """Yield every example once, in row order."""
        for start in range(0, len(self), batch_size):
            yield self.take(np.arange(start, min(len(self), start + batch_size)))


class Batches:
    """An endless, shuffled, augmented series of batches; a batch is a function of its number.

    Each epoch visits every example at most once; the incomplete last batch is dropped.

    Args:
        examples: what batches are made of.
        batch_size: number of images in a batch; at most all examples.
        seed: of order and augmentation.
        augmenter: changes the images; None leaves them.

    Raises:
        ValueError: if there is no example.
    """

    def __init__(
        self, examples: Examples, batch_size: int, seed: int, augmenter: TensorAugmenter | None = None
    ) -> None:
        if not len(examples):
            raise ValueError("no examples to make batches of")
        self.examples = examples
        self.batch_size = min(batch_size, len(examples))
        self.per_epoch = len(examples) // self.batch_size
        self.seed, self._augmenter = seed, augmenter
        self._last: tuple[int, NDArray[np.int64]] | None = None

    def __getitem__(self, step: int) -> Batch:
        epoch, place = divmod(step, self.per_epoch)
        order = self._order(epoch)
        batch = self.examples.take(order[place * self.batch_size : (place + 1) * self.batch_size])
        if self._augmenter is None:
            return batch
        return replace(batch, images=self._augmenter(batch.images, (self.seed, step)))

    def _order(self, epoch: int) -> NDArray[np.int64]:
        """Return the order of an epoch, kept while its batches are asked for: a million positions take a while."""
        last = self._last
        if last is None or last[0] != epoch:
            last = epoch, np.random.default_rng([self.seed, epoch]).permutation(len(self.examples))
            self._last = last
        return last[1]


def on_tensors(augmenter: Augmenter) -> TensorAugmenter:
    """Return an augmenter of tensors on the CPU, made of one of arrays."""

    def changed(images: Tensor, seed: tuple[int, ...]) -> Tensor:
        return torch.from_numpy(augmenter(images.numpy(), seed))

    return changed


def copied_to(images: ImageRows, device: torch.device) -> Tensor:
    """Return a copy of images as one tensor.

    Args:
        images: uint8 (M, H, W, 3), mostly memory-mapped.
        device: where the copy is.
    """
    copy = torch.empty(images.shape, dtype=torch.uint8, device=device)
    for start in range(0, len(images), _CHUNK):
        copy[start : start + _CHUNK] = torch.from_numpy(np.array(images[start : start + _CHUNK]))
    return copy
