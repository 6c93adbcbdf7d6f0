"""Exact and near duplicates, found by digest and by perceptual hash, and the groups they force together."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mango_grader.datasets.close_hashes import close_hashes
from mango_grader.datasets.scan import THUMB, Scan
from mango_grader.text import counted

__all__ = ["NearDuplicates", "clusters", "exact_duplicates", "merge_groups", "near_duplicates"]

MAX_LEVELS = 6.0
"""Near-duplicates have close perceptual hashes, and their thumbnails, after matching brightness and contrast, differ by
at most this many grey levels on average.

The hash alone calls most fruits on a plain ground alike: on 4,755 tomatoes on white it chains 72 fruits into
one group, while with the thumbnails 11 in 12 of the pairs are of one fruit.
"""

MAX_EXPOSURE = 32.0
"""Mean colours further apart than this (grey levels, any channel) are no longer a change of exposure."""

MOST_PAIRS = 100_000_000
"""So many pairs of close hashes are looked at: some minutes."""

MANY_PAIRS = 1_000_000
"""Beyond so many pairs of near-duplicates, only those count that connect further images."""

_BLOCKS = 8
_AT_ONCE = 4096  # pairs of thumbnails


@dataclass(frozen=True, eq=False)
class NearDuplicates:
    """Images that show nearly the same.

    Attributes:
        pairs: int64 (P, 2), item indices, the first below. Of more than a million pairs, only as many as connect the
            same images: each with the first of its set.
        skipped: why not all close pairs were looked at; None where they were.
    """

    pairs: NDArray[np.int64]
    skipped: str | None = None


def exact_duplicates(scan: Scan) -> list[tuple[int, ...]]:
    """Return the sets (two or more item indices each) of byte-identical files, in item order.

    Args:
        scan: N images.
    """
    first_of: dict[str, int] = {}
    copies: defaultdict[int, list[int]] = defaultdict(list)
    for index, digest in enumerate(scan.digests):
        if digest and (first := first_of.setdefault(digest, index)) != index:
            copies[first].append(index)
    return [(first, *others) for first, others in sorted(copies.items())]


def near_duplicates(scan: Scan) -> NearDuplicates:
    """Return the readable items that show nearly the same image, exact copies included.

    Both perceptual hash (imagehash's 64-bit pHash) and thumbnail must be alike. Rotated or mirrored copies are not
    found.

    Args:
        scan: N images.
    """
    rows = np.flatnonzero(scan.readable)
    thumbnails, links, seen = _Thumbnails(scan.thumbs, rows), _Links(len(rows)), 0
    skipped = None
    for first, second in close_hashes(scan.hashes[rows]):
        for start in range(0, len(first), _AT_ONCE):
            one, two = links.unconnected(first[start : start + _AT_ONCE], second[start : start + _AT_ONCE])
            same = thumbnails.alike(one, two)
            links.add(one[same], two[same])
        seen += len(first)
        if seen >= MOST_PAIRS:
            images = counted(len(rows), "image")
            skipped = f"near-duplicates: {images} are too alike to compare more than {MOST_PAIRS:,} pairs of them"
            break
    return NearDuplicates(rows[links.pairs()], skipped)


class _Links:
    """Pairs of N images; beyond a million, those that connect the same images."""

    def __init__(self, count: int) -> None:
        self._count, self._new = count, 0
        self._found = [np.empty((0, 2), np.int64)]
        self._sets: NDArray[np.int64] | None = None  # the set of each image, once there are many pairs

    def unconnected(
        self, first: NDArray[np.int64], second: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the pairs that are worth a comparison."""
        if self._sets is None:
            return first, second
        apart = self._sets[first] != self._sets[second]
        return first[apart], second[apart]

    def add(self, first: NDArray[np.int64], second: NDArray[np.int64]) -> None:
        self._found.append(np.stack([first, second], axis=1))
        self._new += len(first)
        if self._new > MANY_PAIRS:
            self._sets = _components(self.pairs(), self._count)
            self._found, self._new = [_stars(self._sets)], 0

    def pairs(self) -> NDArray[np.int64]:
        return np.concatenate(self._found)


def _stars(sets: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return a pair of the first member of each set with each of its others."""
    _, first_of, own = np.unique(sets, return_index=True, return_inverse=True)
    others = np.flatnonzero(first_of[own] != np.arange(len(sets)))
    return np.stack([first_of[own[others]], others], axis=1)


class _Thumbnails:
    """Compares thumbnails pair by pair; reads those of the images that are asked for.

    Args:
        thumbs: uint8 (N, THUMB, THUMB, 3).
        rows: int64 (R,), which of them.
    """

    def __init__(self, thumbs: NDArray[np.uint8], rows: NDArray[np.int64]) -> None:
        self._thumbs, self._rows = thumbs, rows
        self._known = np.zeros(len(rows), bool)
        # Memory that no image has used yet costs nothing.
        self._coarse = np.zeros((len(rows), _BLOCKS * _BLOCKS * 3), np.float32)
        self._colour = np.zeros((len(rows), 3), np.float32)
        self._mean, self._spread = np.zeros(len(rows), np.float32), np.zeros(len(rows), np.float32)

    def alike(self, one: NDArray[np.int64], two: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return which of the pairs (one[i], two[i]) show nearly the same, bool (P,)."""
        self._look_at(np.union1d(one, two))
        exposure = np.abs(self._colour[one] - self._colour[two]).max(1, initial=0)
        same: NDArray[np.bool_] = exposure <= MAX_EXPOSURE
        # Block means differ by no more than the pixels do, so most pairs are settled on a sixteenth of them.
        for pixels in (self._coarse_of, self._fine_of):
            left = np.flatnonzero(same)
            same[left] = self._levels(pixels, one[left], two[left]) <= MAX_LEVELS
        return same

    def _look_at(self, items: NDArray[np.int64]) -> None:
        new = items[~self._known[items]]
        if not len(new):
            return
        thumbs = self._thumbs[self._rows[new]]
        blocks = thumbs.reshape(len(new), _BLOCKS, THUMB // _BLOCKS, _BLOCKS, THUMB // _BLOCKS, 3)
        self._coarse[new] = blocks.mean((2, 4), dtype=np.float32).reshape(len(new), -1)
        self._colour[new] = thumbs.mean((1, 2), dtype=np.float32)
        self._mean[new] = self._colour[new].mean(1)
        self._spread[new] = [one.std(dtype=np.float32) for one in thumbs.reshape(len(new), -1)]
        self._known[new] = True

    def _coarse_of(self, items: NDArray[np.int64]) -> NDArray[np.float32]:
        return self._coarse[items]

    def _fine_of(self, items: NDArray[np.int64]) -> NDArray[np.uint8]:
        return self._thumbs[self._rows[items]].reshape(len(items), THUMB * THUMB * 3)

    def _levels(
        self,
        pixels: Callable[[NDArray[np.int64]], NDArray[np.uint8] | NDArray[np.float32]],
        one: NDArray[np.int64],
        two: NDArray[np.int64],
    ) -> NDArray[np.float32]:
        common = np.sqrt(self._spread[one] * self._spread[two])[:, None]
        first, second = (
            (pixels(side) - self._mean[side, None]) * (common / (self._spread[side, None] + 1e-6))
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
