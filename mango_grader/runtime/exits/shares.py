"""Thresholds that let given shares of the images stop at each exit, the surest first."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

NEVER = 2.0
"""A threshold that no signal reaches."""

_LEAST = 1e-9  # An exit that is not sure at all, of signal 0, lets nothing stop.


def geometric_thresholds(signals: NDArray[np.floating], ratio: float) -> tuple[float, ...]:
    """Return thresholds by which a geometric share of the images stops at each exit, (K − 1,).

    Where too few can stop at an exit, because it is not sure at all of the others, later exits make up for it.

    Source: MSDNet (arXiv:1703.09844), §5.2, budgeted batch classification.

    Args:
        signals: (K, N), in 0..1, of every exit.
        ratio: of the share of one exit to that of the exit before it, above 0.
    """
    exits, count = signals.shape
    shares = np.power(float(ratio), np.arange(exits) - (exits - 1) * (ratio > 1))  # scaled so that nothing overflows
    stopped = np.cumsum(shares / shares.sum()) * count
    waiting = np.arange(count)
    thresholds = []
    for values, wanted in zip(signals[:-1], stopped[:-1], strict=True):
        threshold = _threshold(values[waiting], wanted - (count - len(waiting)))
        thresholds.append(threshold)
        waiting = waiting[values[waiting] < threshold]
    return tuple(thresholds)


def first_reached(signals: NDArray[np.floating], thresholds: Sequence[float]) -> NDArray[np.int64]:
    """Return the index of the first exit whose signal reaches its threshold, else of the last, (N,).

    Args:
        signals: (K, N), of every exit.
        thresholds: (K − 1,).
    """
    reached = signals >= np.array([*thresholds, -np.inf])[:, None]
    stops: NDArray[np.int64] = reached.argmax(axis=0)
    return stops


def _threshold(values: NDArray[np.floating], wanted: float) -> float:
    """Return the threshold that `wanted` of the values reach, or as near to that as equal values allow."""
    if not len(values):
        return NEVER
    # Interpolated between neighbours: a small change of `wanted` never jumps over the gap between two images.
    threshold = max(float(np.quantile(values, 1 - min(max(wanted / len(values), 0.0), 1.0))), _LEAST)
    above = float(np.nextafter(threshold, np.inf))
    return min((threshold, above), key=lambda one: abs(float((values >= one).sum()) - wanted))
