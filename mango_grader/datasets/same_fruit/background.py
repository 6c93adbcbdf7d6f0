"""Which features are background: they stay at their pixel, or occur in too many images to belong to one fruit."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mango_grader.datasets.same_fruit.features import Features
from mango_grader.datasets.same_fruit.matching import still

__all__ = ["without_common", "without_fixed"]

FIXED = 2
"""A feature that is at the same pixel in more than this many other images belongs to what the camera always sees."""

COMMON = 0.02
"""A feature in more than this share of the images is background, such as a ruler or the print of a box …"""

FEW = 10
"""… if it is in more than this many images: of a small set, one fruit's photos may be a large share."""

_SAMPLE = 200  # images in which features are counted
_ALIKE = 0.95  # likeness of two descriptors of the same thing
_SEED = 0

Matches = Sequence[NDArray[np.int64]]


def without_fixed(images: Sequence[Features], pairs: NDArray[np.int64], matches: Matches) -> list[NDArray[np.int64]]:
    """Return the matches of each pair without those of features that stay at their pixel in several other images.

    Args:
        images: the features of N images.
        pairs: int64 (P, 2), of images.
        matches: P times int64 (M, 2), which features of a pair match.
    """
    times = [np.zeros(len(image), np.int64) for image in images]
    for (one, two), found in zip(pairs, matches, strict=True):
        first, second = found[still(images[one], images[two], found)].T
        times[one][first] += 1
        times[two][second] += 1
    return _without([each > FIXED for each in times], pairs, matches)


def without_common(images: Sequence[Features], pairs: NDArray[np.int64], matches: Matches) -> list[NDArray[np.int64]]:
    """Return the matches of each pair without those of features that occur in many images.

    Features are counted in a sample of the images, which a generator with a fixed seed draws.

    Args:
        images: the features of N images.
        pairs: int64 (P, 2), of images.
        matches: P times int64 (M, 2), which features of a pair match.
    """
    asked = [np.zeros(len(image), bool) for image in images]
    for (one, two), found in zip(pairs, matches, strict=True):
        asked[one][found[:, 0]] = asked[two][found[:, 1]] = True
    count = len(images)
    chosen = np.sort(np.random.default_rng(_SEED).permutation(count)[:_SAMPLE])
    sample = [images[index] for index in chosen if len(images[index])]
    starts = np.cumsum([0, *(len(one) for one in sample)])[:-1]
    descriptors = np.concatenate([np.empty((0, 128), np.float32), *(one.unit() for one in sample)]).T.copy()
    most = len(chosen) * max(COMMON, FEW / max(count, 1))
    common = [np.zeros(len(image), bool) for image in images]
    for image, features, mask in zip(images, asked, common, strict=True):
        if features.any():
            alike = np.maximum.reduceat(image.only(features).unit() @ descriptors, starts, axis=1) > _ALIKE
            mask[features] = alike.sum(1) - 1 >= most
    return _without(common, pairs, matches)


def _without(
    background: Sequence[NDArray[np.bool_]], pairs: NDArray[np.int64], matches: Matches
) -> list[NDArray[np.int64]]:
    return [
        found[~(background[one][found[:, 0]] | background[two][found[:, 1]])]
        for (one, two), found in zip(pairs, matches, strict=True)
    ]
