"""Bootstrap intervals over groups: the fruit is the unit that was drawn at random, not its photographs.

Whole groups are resampled with replacement (Davison and Hinkley, 1997, §3.8), so ten views of one mango count as one
observation. Intervals are percentile intervals; one of zero width says only that no case of the other kind was seen.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Statistic = Callable[[Floats], Floats]

_CHUNK = 250  # replicates at a time: bounds memory with many groups


@dataclass(frozen=True)
class Estimate:
    """A figure with its 95 % interval; the bounds are None where a single group allows none."""

    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Difference:
    """First minus second on the same items: value, 95 % interval and two-sided bootstrap p-value."""

    value: float
    low: float | None
    high: float | None
    p: float | None


class GroupBootstrap:
    """Resamples groups of items; every estimate of one object uses the same draws, so estimates are paired.

    `groups` names the group of each of N items; `replicates` draws are made from `seed`.
    """

    def __init__(self, groups: Sequence[str], seed: int, replicates: int = 2000) -> None:
        names, self._group = np.unique(np.asarray(groups, dtype=str), return_inverse=True)
        self.items, self.groups = len(self._group), len(names)
        if not self.items:
            raise ValueError("a bootstrap needs at least one item")
        draws = np.random.default_rng(seed).multinomial(self.groups, np.full(self.groups, 1 / self.groups), replicates)
        self._weights = draws.astype(np.uint8)

    def estimate(self, values: NDArray[np.generic], statistic: Statistic) -> Estimate:
        """Return `statistic` of the summed `values` with its 95 % interval.

        `values` is (N, …), one row per item. `statistic` maps sums over items, (R, …), to figures, (R,); replicates
        where it is NaN (a class that was not drawn) are left out.
        """
        sums = self._per_group(values)
        value = float(statistic(sums.sum(axis=0, keepdims=True))[0])
        low, high = _interval(self._replicate(sums, statistic)) if self.groups > 1 else (None, None)
        return Estimate(value, low, high)

    def difference(self, first: NDArray[np.generic], second: NDArray[np.generic]) -> Difference:
        """Return the mean of `first − second`, each (N,), with interval and p-value."""
        delta = np.asarray(first, dtype=np.float64) - np.asarray(second, dtype=np.float64)
        sums = self._per_group(np.stack([delta, np.ones_like(delta)], axis=1))
        if self.groups == 1:
            return Difference(float(delta.mean()), None, None, None)
        draws = self._replicate(sums, lambda total: total[:, 0] / total[:, 1])
        low, high = _interval(draws)
        # Counting the observed sample once keeps p above zero with any number of replicates.
        tail = 1 + min(int((draws <= 1e-12).sum()), int((draws >= -1e-12).sum()))
        return Difference(float(delta.mean()), low, high, min(1.0, 2 * tail / (len(draws) + 1)))

    def _per_group(self, values: NDArray[np.generic]) -> Floats:
        rows = np.asarray(values, dtype=np.float64)
        if len(rows) != self.items:
            raise ValueError(f"{len(rows)} rows of values for {self.items} items")
        sums = np.zeros((self.groups, *rows.shape[1:]))
        np.add.at(sums, self._group, rows)
        return sums

    def _replicate(self, sums: Floats, statistic: Statistic) -> Floats:
        starts = range(0, len(self._weights), _CHUNK)
        chunks = (self._weights[start : start + _CHUNK].astype(np.float64) for start in starts)
        return np.concatenate([statistic(np.tensordot(chunk, sums, axes=1)) for chunk in chunks])


def paired_difference(
    first: NDArray[np.generic],
    second: NDArray[np.generic],
    groups: Sequence[str],
    seed: int,
    replicates: int = 10_000,
) -> Difference:
    """Compare two models on the same N items: `first` and `second` hold each one's score per item (1 = right).

    Positive values favour `first`. The p-value is twice the smaller share of replicates on either side of zero.
    """
    return GroupBootstrap(groups, seed, replicates).difference(first, second)


def _interval(draws: Floats) -> tuple[float | None, float | None]:
    known = draws[~np.isnan(draws)]
    if not len(known):
        return None, None
    low, high = np.percentile(known, [2.5, 97.5])
    return float(low), float(high)
