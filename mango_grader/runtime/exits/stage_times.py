"""How long each stage takes on this host: the last few hundred times of each, and what to expect of the next."""

import math
from bisect import bisect_left, insort
from collections import deque
from collections.abc import Iterator, Sequence
from itertools import cycle
from threading import Lock

WINDOW = 500
"""Times that are kept of each stage; with 500, one in a hundred is five."""
QUANTILE = 0.99
"""Share of the kept times that the expected one is not below."""
PATIENCE = 4
"""How often a stage is refused until one of its first times replaces the oldest that is kept."""


class StageTimes:
    """A rolling window of times of each stage at batch size 1; safe to use from several threads at once.

    A stage that is refused for its expected time is not measured. So that it is tried again one day, every fourth
    refusal brings back one of the times that the window began with: a stage that is slow for good makes about six of
    2,000 images late.

    Args:
        samples: for each of the K stages, measured milliseconds, one or more.
        window: number of times to keep of each stage, 1 or more.

    Example:
        ```python
        times = StageTimes([[1.0, 1.2], [3.0, 3.1]])
        times.learn([1.1, 9.0])  # one image
        assert times.expected(1) == 9.0
        ```
    """

    def __init__(self, samples: Sequence[Sequence[float]], window: int = WINDOW) -> None:
        self._lock = Lock()
        self._windows = [_Window(each, window) for each in samples]

    def __len__(self) -> int:
        return len(self._windows)

    def expected(self, stage: int) -> float:
        """Return milliseconds that 99 % of the kept times do not exceed.

        Args:
            stage: from 0.
        """
        return self._windows[stage].expected  # One attribute, so no lock: it is of one moment or of the next.

    def learn(self, measured: Sequence[float]) -> None:
        """Add the times of one image.

        Args:
            measured: (K,) milliseconds of each stage; NaN where a stage did not run.
        """
        with self._lock:
            for window, time in zip(self._windows, measured, strict=True):
                if not math.isnan(time):
                    window.add(time)

    def refuse(self, stage: int) -> None:
        """Note that a stage was not started because of its expected time.

        Args:
            stage: from 0.
        """
        with self._lock:
            window = self._windows[stage]
            window.refused += 1
            if window.refused % PATIENCE == 0:
                window.add(window.first_time() * _pace(self._windows[0]))


class _Window:
    """The last times of one stage, by age and by size."""

    def __init__(self, samples: Sequence[float], size: int) -> None:
        if not samples or not all(math.isfinite(one) and one >= 0 for one in samples):
            raise ValueError("a stage needs one or more finite times, 0 or more")
        self._size = size
        self._by_age, self._by_size = deque(samples[-size:]), sorted(samples[-size:])
        self._again: Iterator[float] = cycle(tuple(self._by_age))
        self.first_median, self.refused = self.median, 0
        self.expected = self._quantile()

    @property
    def median(self) -> float:
        return self._by_size[len(self._by_size) // 2]

    def first_time(self) -> float:
        """Return the next of the times that the window began with, over and over."""
        return next(self._again)

    def add(self, time: float) -> None:
        if len(self._by_age) >= self._size:
            del self._by_size[bisect_left(self._by_size, self._by_age.popleft())]
        self._by_age.append(time)
        insort(self._by_size, time)
        self.expected = self._quantile()

    def _quantile(self) -> float:
        return self._by_size[math.ceil(QUANTILE * len(self._by_size)) - 1]


def _pace(first: _Window) -> float:
    """Return how the first stage, which always runs, compares with its first times; 1 where it is slower.

    First times that were taken in a slow moment are scaled by it: else a stage that they keep from being started would
    never be measured anew.
    """
    return min(1.0, first.median / first.first_median) if first.first_median > 0 else 1.0
