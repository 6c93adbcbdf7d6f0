"""How the simulated belt moves: its displacement at every time, and the times of the frames."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mango_grader.line.simulator.settings import Change, SimulatorSettings

_STEP = 0.002  # seconds
_RAMP = 0.15  # seconds that a change of speed takes
_LONGEST = 48 * 3600.0


def factor_at(changes: Sequence[Change], times: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return by how much changes multiply something at each time.

    Args:
        changes: of the speed or the light.
        times: in seconds.
    """
    factor = np.ones_like(times)
    for change in changes:
        since = times - change.at
        if change.every is not None:
            since = np.where(since >= 0, since % change.every, since)
        factor[(since >= 0) & (since < change.seconds)] *= change.factor
    return factor


class BeltMotion:
    """The displacement of the belt over time, in pixels.

    Args:
        settings: of the simulated belt.
        distance: pixels that the belt shall have moved at the end.

    Raises:
        ValueError: the belt never gets so far.
    """

    def __init__(self, settings: SimulatorSettings, distance: float) -> None:
        self._ticks_per_px = settings.ticks_per_px
        seconds = 1.5 * distance / settings.speed + 5
        while True:
            self._times = np.arange(0, seconds, _STEP)
            self._moved = _displacement(settings, self._times)
            if self._moved[-1] >= distance:
                break
            if seconds > _LONGEST:
                raise ValueError("the belt stands still or moves back for too long")
            seconds *= 2
        self._furthest = np.maximum.accumulate(self._moved)
        self.seconds = self.reached(distance)

    def displacement(self, times: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return how far the belt has moved since the start at each time, in pixels."""
        return np.interp(times, self._times, self._moved)

    def ticks(self, time: float) -> float | None:
        """Return the encoder's count, None for a belt without one."""
        moved = float(np.interp(time, self._times, self._moved))
        return float(np.floor(moved * self._ticks_per_px)) if self._ticks_per_px else None

    def reached(self, distance: float) -> float:
        """Return the time at which the belt has first moved so far, in seconds."""
        after = int(np.searchsorted(self._furthest, distance))
        if after == 0:
            return 0.0
        low, high = self._moved[after - 1], self._moved[after]
        return float(self._times[after - 1] + _STEP * (distance - low) / (high - low))

    def frame_times(self, settings: SimulatorSettings, until: float) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Return the times of all frames in seconds, and which of them arrive.

        Args:
            settings: of the simulated belt.
            until: time of the last frame, in seconds.
        """
        count = max(1, int(until * settings.fps) + 1)
        rng = np.random.default_rng([settings.seed, *b"times"])
        shift = rng.uniform(-0.5, 0.5, count) * settings.jitter
        arrive = rng.random(count) >= settings.dropped
        times = (np.arange(count) + shift) / settings.fps
        return np.round(times - times[0], 6), arrive


def _displacement(settings: SimulatorSettings, times: NDArray[np.float64]) -> NDArray[np.float64]:
    factor = factor_at(settings.speed_changes, times)
    width = round(_RAMP / _STEP)
    total = np.cumsum(np.concatenate([np.full(width, factor[0]), factor]))
    smooth = (total[width:] - total[:-width]) / width  # A belt takes a moment to change its speed.
    speed = settings.speed * smooth * (1 + settings.ripple * np.sin(2 * np.pi * times / 2.7))
    moved: NDArray[np.float64] = np.concatenate([[0.0], np.cumsum(speed[:-1] * _STEP)])
    return moved
