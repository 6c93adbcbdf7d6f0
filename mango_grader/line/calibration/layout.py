"""Lanes and lines: where fruit travel across the belt, and where along it they are graded and decided."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from mango_grader.line.belt import Lane

_SURE = 4  # fruit in each lane from which lanes are believed
_APART = 2.0  # by how many spreads of a lane the centres of neighbouring lanes differ at least
_GUESSED = 0.2  # of the view: length of a fruit that nobody has seen


def lay_lanes(count: int | None, width: float, across: Sequence[float], fruit_width: float) -> tuple[Lane, ...]:
    """Return lanes that cover the whole width, so that a camera which drifts a little loses no fruit.

    Args:
        count: of lanes; None takes as many as the fruit show.
        width: of the image across the belt, in pixels.
        across: where fruit lie, in pixels.
        fruit_width: of a fruit, in pixels.
    """
    places = np.sort(np.asarray(across, float))
    if count is None:
        cuts = _gaps(places, fruit_width)
    elif len(places) >= _SURE * count:
        cuts = _between_clusters(places, count)
    else:
        cuts = []
    if count is not None and len(cuts) != count - 1:
        cuts = [width * n / count for n in range(1, count)]
    edges = [0.0, *(round(cut, 1) for cut in cuts), float(width)]
    return tuple(Lane(low, high) for low, high in pairwise(edges)) if len(edges) > 2 else ()


def _gaps(places: NDArray[np.float64], fruit_width: float) -> list[float]:
    """Return the middle of each stretch across the belt that no fruit touches."""
    if len(places) < 3 * _SURE:
        return []
    steps = np.diff(places)
    cuts = np.flatnonzero(steps > 1.2 * fruit_width)
    sizes = np.diff([0, *(n + 1 for n in cuts), len(places)])
    if len(cuts) == 0 or sizes.min() < max(_SURE, 0.1 * len(places)):
        return []
    return [float((places[n] + places[n + 1]) / 2) for n in cuts]


def _between_clusters(places: NDArray[np.float64], count: int) -> list[float]:
    centres = np.quantile(places, (np.arange(count) + 0.5) / count)
    for _ in range(50):
        nearest = np.abs(places[:, None] - centres).argmin(1)
        if len(np.unique(nearest)) < count:
            return []
        moved = np.array([places[nearest == n].mean() for n in range(count)])
        if np.allclose(moved, centres):
            break
        centres = moved
    spread = max(float(np.mean([places[nearest == n].std() for n in range(count)])), 1e-6)
    if count > 1 and np.diff(centres).min() < _APART * spread:
        return []
    return [float(cut) for cut in (centres[1:] + centres[:-1]) / 2]


def lay_lines(length: float, fruit_length: float | None, step: float) -> tuple[float, float]:
    """Return the entry and the decision line: whole fruit are in view between them.

    Args:
        length: of the view along the belt, in pixels.
        fruit_length: of a fruit along the belt, in pixels; None if it is not known.
        step: pixels that the belt moves from frame to frame.
    """
    fruit = min(fruit_length or _GUESSED * length, 0.6 * length)
    entry = 0.55 * fruit
    # One more frame shall see a fruit beyond the line while it is still whole.
    decision = max(0.5 * length, length - 0.6 * fruit - 1.5 * step)
    return round(entry, 1), round(min(decision, 0.8 * length), 1)
