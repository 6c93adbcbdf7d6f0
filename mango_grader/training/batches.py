"""Mini-batches, each one a function of the seed and its number: nothing to save when a run stops between two."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mango_grader.datasets.augment import Augmenter


@dataclass(frozen=True)
class Batch:
    """images: uint8 (N, H, W, 3). labels: int64 (N,)."""

    images: Tensor
    labels: Tensor


@dataclass(frozen=True)
class Examples:
    """Rows of a packed cache that one purpose may see. images: uint8 (M, H, W, 3) of all rows; labels: int64 (M,)."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    rows: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def targets(self) -> NDArray[np.int64]:
        """Labels of the rows, (len,)."""
        return self.labels[self.rows]

    def take(self, positions: NDArray[np.int64]) -> Batch:
        """Return the examples at `positions` among the rows."""
        rows = self.rows[positions]
        return Batch(torch.from_numpy(self.images[rows]), torch.from_numpy(self.labels[rows]))

    def shuffled(self, seed: int) -> "Examples":
        """Return the same examples in a random order: rows stand in class order, and so would batches of them."""
        return replace(self, rows=np.random.default_rng(seed).permutation(self.rows))

    def in_order(self, batch_size: int) -> Iterator[Batch]:
        """Yield every example once, in row order."""
        for start in range(0, len(self), batch_size):
            yield self.take(np.arange(start, min(len(self), start + batch_size)))


class Batches:
    """An endless, shuffled, augmented series of batches; batch `step` is the same however often it is asked for.

    Each epoch visits every example at most once; the incomplete last batch is dropped.
    """

    def __init__(self, examples: Examples, batch_size: int, seed: int, augmenter: Augmenter | None = None) -> None:
        if not len(examples):
            raise ValueError("no examples to make batches of")
        self.examples = examples
        self.batch_size = min(batch_size, len(examples))
        self.per_epoch = len(examples) // self.batch_size
        self.seed, self._augmenter = seed, augmenter

    def __getitem__(self, step: int) -> Batch:
        epoch, place = divmod(step, self.per_epoch)
        order = np.random.default_rng([self.seed, epoch]).permutation(len(self.examples))
        batch = self.examples.take(order[place * self.batch_size : (place + 1) * self.batch_size])
        if self._augmenter is None:
            return batch
        augmented = self._augmenter(batch.images.numpy(), (self.seed, step))
        return Batch(torch.from_numpy(augmented), batch.labels)
