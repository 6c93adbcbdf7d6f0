"""Which features are background: they stay at their pixel, or occur in too many images to belong to one fruit."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mango_grader.cores import ordered_map
from mango_grader.datasets.same_fruit.features import Features, unit
from mango_grader.datasets.same_fruit.matching import still

__all__ = ["without_common", "without_fixed"]

FIXED = 1
"""A feature that is at the same pixel in more than this many other images belongs to what the camera always sees."""

COMMON = 0.02
"""A feature in more than this share of the images is background, such as a ruler or the print of a box …"""

FEW = 10
"""… if it is in more than this many images: of a small set, one fruit's photos may be a large share."""

_SAMPLE = 200  # images in which features are counted …
_STRONGEST = 150  # … among so many of each: prints, edges and marks are stronger than skin
_ALIKE = 0.95  # likeness of two descriptors of the same thing
_BLOCK = 256  # features compared with all of the sample at once
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
    if not len(pairs):
        return []
    asked = [np.zeros(len(image), bool) for image in images]
    for (one, two), found in zip(pairs, matches, strict=True):
        asked[one][found[:, 0]] = asked[two][found[:, 1]] = True
    some = [image.only(features) for image, features in zip(images, asked, strict=True)]
    ends = np.cumsum([len(one) for one in some])
    often = _Sample(images).often(np.concatenate([one.descriptors for one in some]))
    common = [np.zeros(len(image), bool) for image in images]
    for mask, features, often_there in zip(common, asked, np.split(often, ends[:-1]), strict=True):
        mask[features] = often_there
    return _without(common, pairs, matches)


class _Sample:
    """Some of the images, in which features are counted."""

    def __init__(self, images: Sequence[Features]) -> None:
        chosen = np.random.default_rng(_SEED).permutation(len(images))[:_SAMPLE]
        sample = [unit(images[index].descriptors[:_STRONGEST]) for index in chosen]
        self._image_of = np.repeat(np.arange(len(sample)), [len(one) for one in sample])
        self._descriptors = np.concatenate([np.empty((0, 128), np.float32), *sample]).T.copy()
        self._most = len(sample) * max(COMMON, FEW / max(len(images), 1))

    def often(self, descriptors: NDArray[np.uint8]) -> NDArray[np.bool_]:
        """Return which of the features occur in many images, bool (F,)."""
        blocks = [descriptors[start : start + _BLOCK] for start in range(0, len(descriptors), _BLOCK)]
        return np.concatenate([np.zeros(0, bool), *ordered_map(self._often, blocks)])

    def _often(self, block: NDArray[np.uint8]) -> NDArray[np.bool_]:
        rows, columns = np.nonzero(unit(block) @ self._descriptors > _ALIKE)
        seen = np.unique(np.stack([rows, self._image_of[columns]], axis=1), axis=0)
        return np.bincount(seen[:, 0], minlength=len(block)) > self._most


def _without(
    background: Sequence[NDArray[np.bool_]], pairs: NDArray[np.int64], matches: Matches
) -> list[NDArray[np.int64]]:
    return [
        found[~(background[one][found[:, 0]] | background[two][found[:, 1]])]
        for (one, two), found in zip(pairs, matches, strict=True)
    ]
