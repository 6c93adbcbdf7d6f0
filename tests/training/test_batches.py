"""Batches are a function of seed and number, in whatever order they are asked for."""

import numpy as np

from mango_grader.training.batches import Batches, Examples

IMAGES = np.arange(23, dtype=np.uint8)[:, None, None, None] * np.ones((1, 2, 2, 3), np.uint8)


def numbers(batches: Batches, step: int) -> list[int]:
    """Return which images are in a batch."""
    return [int(image[0, 0, 0]) for image in batches[step].images]


def test_an_order_that_is_kept_is_that_of_its_epoch() -> None:
    batches = Batches(Examples(IMAGES, np.zeros(23, np.int64), np.arange(23)), 5, seed=7)
    for step in (0, 1, 9, 3, 4, 0, 8, 2):
        epoch, place = divmod(step, 4)
        order = np.random.default_rng([7, epoch]).permutation(23)
        assert numbers(batches, step) == order[5 * place : 5 * place + 5].tolist()
