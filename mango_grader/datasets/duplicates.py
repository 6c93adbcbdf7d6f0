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

_CHUNK = 1 << 24  # Hash pairs compared at once: 128 MB of 64-bit words.


def exact_duplicates(scan: Scan) -> list[tuple[int, ...]]:
    """Return the sets (two or more item indices each) of byte-identical files, in item order."""
    alike: defaultdict[str, list[int]] = defaultdict(list)
    for index, digest in enumerate(scan.digests):
        if digest:
            alike[digest].append(index)
    return [tuple(indices) for indices in alike.values() if len(indices) > 1]


def near_pairs(scan: Scan) -> NDArray[np.int64]:
    """Return the pairs of readable items that show nearly the same picture, int64 (P, 2), exact ones included.

    Both tests must agree: perceptual hash (imagehash's 64-bit pHash) and thumbnail. Turned or mirrored copies are
    not found.
    """
    rows = np.flatnonzero(scan.readable)
    hashes = scan.hashes[rows]
    pixels = scan.thumbs[rows].reshape(len(rows), THUMB * THUMB, 3)
    found = [np.empty((0, 2), np.int64)]
    for first, second in _close_hashes(hashes):
        for start in range(0, len(first), 4096):
            one, two = first[start : start + 4096], second[start : start + 4096]
            same = _alike(pixels[one], pixels[two])
            found.append(np.stack([rows[one[same]], rows[two[same]]], axis=1))
    return np.concatenate(found)


def _close_hashes(hashes: NDArray[np.uint64]) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    step = max(1, _CHUNK // max(1, len(hashes)))
    for start in range(0, len(hashes), step):
        block = hashes[start : start + step, None] ^ hashes[None, start:]
        first, second = np.nonzero(np.bitwise_count(block) <= MAX_BITS)
        later = second > first
        yield first[later] + start, second[later] + start


def _alike(one: NDArray[np.uint8], two: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Compare (P, pixels, 3) thumbnails pair by pair, bool (P,)."""
    first, second = one.astype(np.float32), two.astype(np.float32)
    means = first.mean(1, keepdims=True), second.mean(1, keepdims=True)
    exposure = np.abs(means[0] - means[1]).max((1, 2))
    first, second = first - first.mean((1, 2), keepdims=True), second - second.mean((1, 2), keepdims=True)
    spread = first.std((1, 2), keepdims=True), second.std((1, 2), keepdims=True)
    common = np.sqrt(spread[0] * spread[1])
    first, second = first / (spread[0] + 1e-6) * common, second / (spread[1] + 1e-6) * common
    matched: NDArray[np.bool_] = (np.abs(first - second).mean((1, 2)) <= MAX_LEVELS) & (exposure <= MAX_EXPOSURE)
    return matched


def clusters(pairs: NDArray[np.int64]) -> list[tuple[int, ...]]:
    """Return the sets of items that `pairs` (P, 2) connect, each ascending, by their first item."""
    members = np.unique(pairs)
    labels = _components(np.searchsorted(members, pairs), len(members))
    sets: defaultdict[int, list[int]] = defaultdict(list)
    for member, label in zip(members.tolist(), labels.tolist(), strict=True):
        sets[label].append(member)
    return sorted(tuple(found) for found in sets.values())


def merge_groups(groups: Sequence[str], pairs: NDArray[np.int64]) -> list[str]:
    """Return `groups` (one name per item) with those that `pairs` of items connect made one.

    A merged group bears the first of its names in sorted order.
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
