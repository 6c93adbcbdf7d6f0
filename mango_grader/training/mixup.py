"""Batches in which images are mixed in pairs: what a teacher answers, and no label fits."""

from dataclasses import replace

import numpy as np
import torch

from mango_grader.training.batches import Batch, BatchSeries, Examples

_SEED = 4  # keeps its draws apart from those of order and augmentation


class MixedUpBatches:
    """The batches of another series, each image mixed with another of its batch (mixup, Zhang et al. 2018, Eq. 1).

    An image x becomes λ·x + (1 − λ)·x′, λ drawn from Beta(α, α) for each image. Labels stay those of x.

    Args:
        batches: the other series.
        alpha: α, above 0; 1 draws λ evenly.
        seed: of all draws; two series of the same images at different sizes are mixed alike.
    """

    def __init__(self, batches: BatchSeries, alpha: float, seed: int) -> None:
        self.batches, self._alpha, self._seed = batches, alpha, seed
        self.per_epoch, self.batch_size = batches.per_epoch, batches.batch_size

    @property
    def examples(self) -> Examples:
        """The labelled examples."""
        return self.batches.examples

    def __getitem__(self, step: int) -> Batch:
        batch = self.batches[step]
        rng = np.random.default_rng([self._seed, _SEED, step])
        count, device = len(batch.images), batch.images.device
        others = torch.from_numpy(rng.permutation(count)).to(device)
        shares = torch.from_numpy(rng.beta(self._alpha, self._alpha, count)).float().to(device)[:, None, None, None]
        images = batch.images.float()
        mixed = torch.lerp(images[others], images, shares).round()
        return replace(batch, images=mixed.to(torch.uint8))
