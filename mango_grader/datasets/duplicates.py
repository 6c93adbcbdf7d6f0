"""Exact and near duplicates, found by digest and by perceptual hash, and the groups they force together."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from mango_grader.datasets.scan import THUMB, Scan

__all__ = ["clusters", "exact_duplicates", "merge_groups", "near_pairs"]

MAX_BITS = 8
"""Perceptual hashes of near-duplicates differ in at most this many of 64 bits …"""

MAX_LEVELS = 6.0
"""… and their thumbnails, after matching brightness and contrast, by at most this many grey levels on average.

The hash alone calls most fruits on a plain ground alike: on 4,755 tomatoes on white it chains 72 fruits into
one group, while with the thumbnails 11 in 12 of the pairs are of one fruit.
"""

MAX_EXPOSURE = 32.0
"""Mean colours further apart than this (grey levels, any channel) are no longer a change of exposure."""

_BLOCKS = 8
_CHUNK = 1 << 24  # Hash pairs compared at once: 128 MB of 64-bit words.


def exact_duplicates(scan: Scan) -> list[tuple[int, ...]]:
    """Return the sets (two or more item indices each) of byte-identical files, in item order.

    Args:
        scan: N images.
    """
    alike: defaultdict[str, list[int]] = defaultdict(list)
    for index, digest in enumerate(scan.digests):
        if digest:
            alike[digest].append(index)
    return [tuple(indices) for indices in alike.values() if len(indices) > 1]


def near_pairs(scan: Scan) -> NDArray[np.int64]:
    """Return the pairs of readable items that show nearly the same image, int64 (P, 2), exact copies included.

    Both perceptual hash (imagehash's 64-bit pHash) and thumbnail must be alike. Rotated or mirrored copies are not
    found.

    Args:
        scan: N images.
    """
    rows = np.flatnonzero(scan.readable)
    thumbnails = _Thumbnails(scan.thumbs[rows])
    found = [np.empty((0, 2), np.int64)]
    for first, second in _close_hashes(scan.hashes[rows]):
        for start in range(0, len(first), 4096):
            one, two = first[start : start + 4096], second[start : start + 4096]
            same = thumbnails.alike(one, two)
            found.append(np.stack([rows[one[same]], rows[two[same]]], axis=1))
    return np.concatenate(found)


def _close_hashes(hashes: NDArray[np.uint64]) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    step = max(1, _CHUNK // max(1, len(hashes)))
    for start in range(0, len(hashes), step):
        block = hashes[start : start + step, None] ^ hashes[None, start:]
        first, second = np.nonzero(np.bitwise_count(block) <= MAX_BITS)
        later = second > first
        yield first[later] + start, second[later] + start


class _Thumbnails:
    """Compares thumbnails, uint8 (N, THUMB, THUMB, 3), pair by pair."""

    def __init__(self, thumbs: NDArray[np.uint8]) -> None:
        count = len(thumbs)
        self._fine = thumbs.reshape(count, THUMB * THUMB * 3)
        blocks = thumbs.reshape(count, _BLOCKS, THUMB // _BLOCKS, _BLOCKS, THUMB // _BLOCKS, 3)
        self._coarse = blocks.mean((2, 4), dtype=np.float32).reshape(count, _BLOCKS * _BLOCKS * 3)
        self._colour = thumbs.mean((1, 2), dtype=np.float32)
        self._mean = self._colour.mean(1)
        self._spread = np.array([one.std(dtype=np.float32) for one in self._fine], np.float32)

    def alike(self, one: NDArray[np.int64], two: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return which of the pairs (one[i], two[i]) show nearly the same, bool (P,)."""
        exposure = np.abs(self._colour[one] - self._colour[two]).max(1, initial=0)
        same: NDArray[np.bool_] = exposure <= MAX_EXPOSURE
        # Block means differ by no more than the pixels do, so most pairs are settled on a sixteenth of them.
        for pixels in (self._coarse, self._fine):
            left = np.flatnonzero(same)
            same[left] = self._levels(pixels, one[left], two[left]) <= MAX_LEVELS
        return same

    def _levels(
        self, pixels: NDArray[np.uint8] | NDArray[np.float32], one: NDArray[np.int64], two: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        common = np.sqrt(self._spread[one] * self._spread[two])[:, None]
        first, second = (
            (pixels[side] - self._mean[side, None]) * (common / (self._spread[side, None] + 1e-6))
            for side in (one, two)
        )
        levels: NDArray[np.float32] = np.abs(first - second).mean(1)
        return levels


def clusters(pairs: NDArray[np.int64]) -> list[tuple[int, ...]]:
    """Return the sets of items that pairs connect, each ascending, in the order of their first items.

    Args:
        pairs: int64 (P, 2), item indices.

    Example:
        >>> import numpy as np
        >>> clusters(np.array([[0, 3], [3, 5], [1, 2]]))
        [(0, 3, 5), (1, 2)]
    """
    members = np.unique(pairs)
    labels = _components(np.searchsorted(members, pairs), len(members))
    sets: defaultdict[int, list[int]] = defaultdict(list)
    for member, label in zip(members.tolist(), labels.tolist(), strict=True):
        sets[label].append(member)
    return sorted(tuple(found) for found in sets.values())


def merge_groups(groups: Sequence[str], pairs: NDArray[np.int64]) -> list[str]:
    """Return the groups with those that pairs of items connect merged into one.

    A merged group has the first of its names in sorted order.

    Args:
        groups: N group names, one for each item.
        pairs: int64 (P, 2), item indices.

    Example:
        >>> import numpy as np
        >>> merge_groups(["a", "b", "c", "c"], np.array([[0, 3]]))
        ['a', 'b', 'a', 'a']
    """
    names, codes = np.unique(np.array(groups, object), return_inverse=True)
    labels = _components(codes[pairs], len(names))
    first = np.full(len(names), len(names))
    np.minimum.at(first, labels, np.arange(len(names)))
    return [str(names[first[labels[code]]]) for code in codes]


def _components(pairs: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    graph = coo_matrix((np.ones(len(pairs), np.int8), (pairs[:, 0], pairs[:, 1])), shape=(count, count))
    _, labels = connected_components(graph, directed=False)
    return np.asarray(labels, np.int64)
