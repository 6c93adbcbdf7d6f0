"""Bootstrap intervals over groups: what was drawn at random is the fruit, not its photos.

Whole groups are resampled with replacement (Davison and Hinkley, 1997, §3.8), so ten views of one mango count as one
observation. Intervals are percentile intervals; an interval of zero width says only that all groups agree.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Statistic = Callable[[Floats], Floats]

REPLICATES = 2000
"""Number of draws unless another one is asked for."""
_CHUNK = 250  # replicates at a time: bounds memory with many groups


@dataclass(frozen=True)
class Estimate:
    """A figure with its 95 % interval.

    Attributes:
        value: on all items.
        low: lower end of the interval; None where there is one group only, or no draw.
        high: upper end, likewise.
    """

    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Difference:
    """First minus second on the same items.

    Attributes:
        value: mean difference.
        low: lower end of its 95 % interval; None where there is one group only, or no draw.
        high: upper end, likewise.
        p: two-sided bootstrap p-value, above 0; None where there is one group only, or no draw.
    """

    value: float
    low: float | None
    high: float | None
    p: float | None


class GroupBootstrap:
    """Resamples groups of items; all estimates of one object use the same draws, so they are paired.

    Args:
        groups: (N,), the name of each item's group.
        seed: of the draws.
        replicates: number of draws; 0 for figures without intervals.

    Attributes:
        items: N.
        groups: number of groups.

    Raises:
        ValueError: if there is no item.

    Example:
        >>> import numpy as np
        >>> correct = np.array([1, 1, 0, 1, 1, 1])
        >>> bootstrap = GroupBootstrap(["a", "a", "b", "b", "c", "c"], seed=0)
        >>> found = bootstrap.estimate(np.stack([correct, np.ones(6)], axis=1), lambda sums: sums[:, 0] / sums[:, 1])
        >>> round(found.value, 2), found.low <= found.value <= found.high
        (0.83, True)
    """

    def __init__(self, groups: Sequence[str], seed: int, replicates: int = REPLICATES) -> None:
        names, self._group = np.unique(np.asarray(groups, dtype=str), return_inverse=True)
        self.items, self.groups = len(self._group), len(names)
        if not self.items:
            raise ValueError("a bootstrap needs at least one item")
        rng, even = np.random.default_rng(seed), np.full(self.groups, 1 / self.groups)
        chunks = (min(_CHUNK, replicates - start) for start in range(0, replicates, _CHUNK))
        draws = (rng.multinomial(self.groups, even, count).astype(np.uint8) for count in chunks)
        self._weights = np.concatenate([np.empty((0, self.groups), np.uint8), *draws])

    def estimate(self, values: NDArray[np.generic], statistic: Statistic) -> Estimate:
        """Return a statistic of summed values with its 95 % interval.

        Args:
            values: (N, …), one row per item.
            statistic: maps sums over items, (R, …), to figures, (R,); replicates where it is NaN (a class that was not
                drawn) are left out.
        """
        sums = self._per_group(values)
        value = float(statistic(sums.sum(axis=0, keepdims=True))[0])
        low, high = _interval(self._replicate(sums, statistic)) if self._resampled else (None, None)
        return Estimate(value, low, high)

    def difference(self, first: NDArray[np.generic], second: NDArray[np.generic]) -> Difference:
        """Return the mean of first − second with interval and p-value.

        Args:
            first: (N,).
            second: (N,).
        """
        delta = np.asarray(first, dtype=np.float64) - np.asarray(second, dtype=np.float64)
        sums = self._per_group(np.stack([delta, np.ones_like(delta)], axis=1))
        if not self._resampled:
            return Difference(float(delta.mean()), None, None, None)
        draws = self._replicate(sums, lambda total: total[:, 0] / total[:, 1])
        low, high = _interval(draws)
        # Counting the observed sample once keeps p above zero with any number of replicates.
        tail = 1 + min(int((draws <= 1e-12).sum()), int((draws >= -1e-12).sum()))
        return Difference(float(delta.mean()), low, high, min(1.0, 2 * tail / (len(draws) + 1)))

    @property
    def _resampled(self) -> bool:
        return self.groups > 1 and len(self._weights) > 0

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
    """Compare two models on the same N items; positive values favour the first.

    The p-value is twice the smaller share of replicates on either side of zero.

    Args:
        first: (N,), score of the first model on each item (1 = correct).
        second: (N,), score of the second model likewise.
        groups: (N,), the name of each item's group.
        seed: of the draws.
        replicates: number of draws, 1 or more.

    Example:
        >>> found = paired_difference([1, 1, 1, 0], [1, 0, 1, 0], groups=["a", "b", "c", "d"], seed=0)
        >>> found.value
        0.25
    """
    return GroupBootstrap(groups, seed, replicates).difference(first, second)


def _interval(draws: Floats) -> tuple[float | None, float | None]:
    known = draws[~np.isnan(draws)]
    if not len(known):
        return None, None
    low, high = np.percentile(known, [2.5, 97.5])
    return float(low), float(high)
