"""Which pairs of images are worth a comparison: those whose sums of local features are alike."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mango_grader.datasets.same_fruit.features import Features, unit

__all__ = ["candidate_pairs"]

NEIGHBOURS = 12
"""Each image is compared with this many others."""

_WORDS = 64
_ROUNDS = 10
_LEARNT = 20_000  # features
_CHUNK = 1024
_SEED = 0


def candidate_pairs(images: Sequence[Features]) -> NDArray[np.int64]:
    """Return the pairs of images that may show the same fruit, int64 (P, 2), each once and in order.

    Images are compared by VLAD (Jégou et al. 2010, with the normalisation of Arandjelović and Zisserman 2013): the sum
    of what remains of each descriptor beside its nearest visual word.

    Args:
        images: the features of N images; those without any are in no pair.
    """
    kept = [index for index, one in enumerate(images) if len(one)]
    if len(kept) < 2:
        return np.empty((0, 2), np.int64)
    words = _visual_words([images[index] for index in kept])
    summed = np.stack([_vlad(unit(images[index].descriptors), words) for index in kept])
    found = []
    for start in range(0, len(kept), _CHUNK):
        alike = summed[start : start + _CHUNK] @ summed.T
        own = np.arange(len(alike))
        alike[own, start + own] = -2.0
        most = min(NEIGHBOURS, len(kept) - 1)
        nearest = np.argpartition(-alike, most - 1, axis=1)[:, :most]
        first = np.repeat(start + own, most)
        found.append(np.stack([first, nearest.ravel()], axis=1))
    pairs = np.array(kept)[np.sort(np.concatenate(found), axis=1)]
    return np.unique(pairs, axis=0).astype(np.int64)


def _visual_words(images: Sequence[Features]) -> NDArray[np.float32]:
    """Return centres of the descriptors by spherical k-means, float32 (W, 128)."""
    rng = np.random.default_rng(_SEED)
    share = max(1, _LEARNT // len(images))
    picked = [one.descriptors[rng.permutation(len(one))[:share]] for one in images]
    learnt = unit(np.concatenate(picked)[:_LEARNT])
    words = learnt[rng.permutation(len(learnt))[:_WORDS]]
    for _ in range(_ROUNDS):
        nearest = (learnt @ words.T).argmax(1)
        sums = np.zeros_like(words)
        np.add.at(sums, nearest, learnt)
        length = np.linalg.norm(sums, axis=1, keepdims=True)
        words = np.where(length > 0, sums / np.maximum(length, 1e-6), words)
    return words


def _vlad(descriptors: NDArray[np.float32], words: NDArray[np.float32]) -> NDArray[np.float32]:
    nearest = (descriptors @ words.T).argmax(1)
    sums = np.zeros_like(words)
    np.add.at(sums, nearest, descriptors - words[nearest])
    sums /= np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-6)
    whole = sums.ravel()
    return whole / max(float(np.linalg.norm(whole)), 1e-6)
