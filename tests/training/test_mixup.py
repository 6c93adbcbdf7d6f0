"""What mixing images in pairs must keep."""

import numpy as np
import pytest
import torch

from mango_grader.training.batches import Batches, Examples
from mango_grader.training.mixup import MixedUpBatches

COUNT = 64


def plain(side: int = 2) -> Batches:
    """Batches of one-coloured images, each of its own grey."""
    greys = np.linspace(0, 255, COUNT).astype(np.uint8)
    images = np.broadcast_to(greys[:, None, None, None], (COUNT, side, side, 3)).copy()
    return Batches(Examples(images, np.arange(COUNT), np.arange(COUNT)), COUNT, seed=3)


@pytest.mark.parametrize("alpha", [0.3, 1.0, 4.0])
def test_shares_are_beta_distributed(alpha: float) -> None:
    batches, drawn = plain(), []
    mixed = MixedUpBatches(batches, alpha, seed=5)
    for step in range(60):
        before, after = batches[step].images.double(), mixed[step].images.double()
        drawn.append(((after - before).square().mean() / before.var()).item())
    # E[((1 − λ)(x′ − x))²] = 2 Var(x) E[(1 − λ)²], where x and x′ are two draws
    expected = 2 * (1 / 4 + 1 / (4 * (2 * alpha + 1)))
    assert np.mean(drawn) == pytest.approx(expected, rel=0.06)


def test_a_batch_is_a_function_of_its_step_and_its_labels_stay() -> None:
    mixed = MixedUpBatches(plain(), 1.0, seed=5)
    assert torch.equal(mixed[7].images, mixed[7].images)
    assert not torch.equal(mixed[7].images, mixed[8].images)
    assert torch.equal(mixed[7].labels, plain()[7].labels)


def test_images_of_two_sizes_are_mixed_alike() -> None:
    small, large = (MixedUpBatches(plain(side), 1.0, seed=5)[3].images[:, 0, 0] for side in (2, 5))
    assert torch.equal(small, large)
