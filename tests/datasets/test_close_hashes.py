"""Close hashes among many are those that a comparison of all pairs finds."""

from collections.abc import Iterable

import numpy as np
import pytest
from numpy.typing import NDArray

from mango_grader.datasets import close_hashes as module
from mango_grader.datasets.close_hashes import MAX_BITS, close_hashes, close_in_bands

Pairs = Iterable[tuple[NDArray[np.int64], NDArray[np.int64]]]


def flipped(hashes: NDArray[np.uint64], bits: int, rng: np.random.Generator) -> NDArray[np.uint64]:
    """Return the hashes with so many of their bits flipped."""
    flips = [sum(1 << int(bit) for bit in rng.permutation(64)[:bits]) for _ in hashes]
    return hashes ^ np.array(flips, np.uint64)


def many(rng: np.random.Generator) -> NDArray[np.uint64]:
    """Return hashes of which some are equal, and some differ in 1 to 10 bits."""
    some = rng.integers(0, 2**63, 150).astype(np.uint64)
    varied = [flipped(some, bits, rng) for bits in range(1, 11)]
    return rng.permutation(np.concatenate([some, some[:60], *varied, rng.integers(0, 2**63, 300).astype(np.uint64)]))


def listed(pairs: Pairs) -> list[tuple[int, int]]:
    return [(int(one), int(two)) for first, second in pairs for one, two in zip(first, second, strict=True)]


def all_pairs(hashes: NDArray[np.uint64]) -> set[tuple[int, int]]:
    bits = np.bitwise_count(hashes[:, None] ^ hashes[None, :])
    return {(int(one), int(two)) for one, two in zip(*np.nonzero(bits <= MAX_BITS), strict=True) if one < two}


@pytest.mark.parametrize("block", [40, module._BLOCK])
@pytest.mark.parametrize("seed", range(3))
def test_bands_find_each_close_pair_once(seed: int, block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_BLOCK", block)
    hashes = many(np.random.default_rng(seed))
    expected = all_pairs(hashes)
    assert len(expected) > 3_500
    for found in (listed(close_in_bands(hashes)), listed(close_hashes(hashes))):
        assert len(found) == len(set(found))
        assert set(found) == expected


def test_large_sets_are_compared_in_bands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ALL_PAIRS", 10)
    hashes = np.zeros(20, np.uint64)
    assert listed(close_hashes(hashes)) == listed(close_in_bands(hashes))
    assert len(listed(close_hashes(hashes))) == 190


def test_pairs_are_handed_over_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """All hashes equal: half a million pairs, which are not held at once."""
    monkeypatch.setattr(module, "_BLOCK", 20_000)
    pieces = [len(first) for first, _ in close_in_bands(np.zeros(1000, np.uint64))]
    assert sum(pieces) == 999 * 500
    assert max(pieces) < 100_000


def test_no_hash_or_one_has_no_pair() -> None:
    assert list(close_in_bands(np.empty(0, np.uint64))) == []
    assert list(close_in_bands(np.array([5], np.uint64))) == []
