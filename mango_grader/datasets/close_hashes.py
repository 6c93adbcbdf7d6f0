"""Pairs of perceptual hashes that differ in few bits: all pairs of some thousands, and bands of many more."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

__all__ = ["ALL_PAIRS", "MAX_BITS", "close_hashes", "close_in_bands"]

MAX_BITS = 8
"""Close hashes differ in at most this many of 64 bits."""

ALL_PAIRS = 30_000
"""Of up to so many hashes, each is compared with each other: about a second."""

# Two hashes that differ in 8 bits differ in at most one bit of at least one of five bands (shift and width).
_BANDS = ((0, 13), (13, 13), (26, 13), (39, 13), (52, 12))
_BLOCK = 1 << 22  # Hash pairs compared at once: 32 MB of 64-bit words.
_ENOUGH = 1 << 16  # pairs to hand over at once

_Indices = NDArray[np.int64]


def close_hashes(hashes: NDArray[np.uint64]) -> Iterator[tuple[_Indices, _Indices]]:
    """Yield all pairs of close hashes, each once: the indices of the first and of the second, the first below.

    Args:
        hashes: uint64 (N,).

    Example:
        >>> import numpy as np
        >>> [pairs] = close_hashes(np.array([0, 2**20 - 1, 7], np.uint64))
        >>> [indices.tolist() for indices in pairs]
        [[0], [2]]
    """
    if len(hashes) > ALL_PAIRS:
        yield from close_in_bands(hashes)
        return
    step = max(1, _BLOCK // max(1, len(hashes)))
    for start in range(0, len(hashes), step):
        first, second = _close(hashes[start : start + step], hashes[start:])
        later = second > first
        yield first[later] + start, second[later] + start


def close_in_bands(hashes: NDArray[np.uint64]) -> Iterator[tuple[_Indices, _Indices]]:
    """Yield what `close_hashes` yields, in another order, after about a hundredth of the comparisons.

    Hashes are compared only where a band of them is equal but for one bit (Norouzi et al. 2012, multi-index hashing).

    Args:
        hashes: uint64 (N,).
    """
    found: list[tuple[_Indices, _Indices]] = []
    held = 0
    for band in range(len(_BANDS)):
        for one, two, same in _neighbours(hashes, band):
            first, second = _once(hashes, band, one, two, same)
            if len(first):
                found.append((first, second))
                held += len(first)
            if held >= _ENOUGH:
                yield _together(found)
                found, held = [], 0
    if found:
        yield _together(found)


def _neighbours(hashes: NDArray[np.uint64], band: int) -> Iterator[tuple[_Indices, _Indices, bool]]:
    """Yield blocks of hashes (their indices) that are equal in a band but for one bit, and whether they are the same.

    No block pair has more than `_BLOCK` pairs, unless one hash alone has more.
    """
    width = _BANDS[band][1]
    codes = _code(hashes, band).astype(np.int64)
    counts = np.bincount(codes, minlength=1 << width)
    members = np.split(np.argsort(codes, kind="stable"), np.cumsum(counts)[:-1])
    for code in np.flatnonzero(counts).tolist():
        others = (code, *(code | 1 << bit for bit in range(width) if not code >> bit & 1))
        for other in (one for one in others if counts[one]):
            step = max(1, _BLOCK // int(counts[other]))
            for start in range(0, int(counts[code]), step):
                yield members[code][start : start + step], members[other], other == code


def _once(hashes: NDArray[np.uint64], band: int, one: _Indices, two: _Indices, same: bool) -> tuple[_Indices, _Indices]:
    """Return the close pairs of two blocks that no earlier band has."""
    places, others = _close(hashes[one], hashes[two])
    first, second = one[places], two[others]
    kept = first < second if same else np.ones(len(first), bool)  # a block beside itself has each pair twice
    first, second = first[kept], second[kept]
    fresh = np.ones(len(first), bool)
    for earlier in range(band):
        differing = np.bitwise_count(_code(hashes[first], earlier) ^ _code(hashes[second], earlier))
        fresh &= differing > 1
    first, second = first[fresh], second[fresh]
    return np.minimum(first, second), np.maximum(first, second)


def _code(hashes: NDArray[np.uint64], band: int) -> NDArray[np.uint64]:
    shift, width = _BANDS[band]
    return hashes >> np.uint64(shift) & np.uint64((1 << width) - 1)


def _close(one: NDArray[np.uint64], two: NDArray[np.uint64]) -> tuple[_Indices, _Indices]:
    first, second = np.nonzero(np.bitwise_count(one[:, None] ^ two[None, :]) <= MAX_BITS)
    return first, second


def _together(found: list[tuple[_Indices, _Indices]]) -> tuple[_Indices, _Indices]:
    first, second = (np.concatenate(side) for side in zip(*found, strict=True))
    return first, second
