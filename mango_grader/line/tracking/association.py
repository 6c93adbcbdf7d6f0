"""Which look belongs to which track: by position on the belt, not by appearance."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from mango_grader.line.tracking.looks import Look
from mango_grader.line.tracking.track import Track

_ALONG, _ACROSS = 0.7, 0.7  # furthest from where a fruit is expected, in its own lengths and widths
_WIDER = 1.8  # by how much these may grow for a fruit that nothing else explains
_SIZE = 0.1  # cost of a look of e times the area
_UNPROVED = 0.3  # cost of a track that has not proved to be a fruit
_GROUP = 0.6  # a group covers at least this share of the areas of its members
_LARGER = 1.3  # and is larger by this than the largest of them
_FAR = 1e6


@dataclass(frozen=True)
class Association:
    """What became of the looks of one frame.

    Attributes:
        pairs: (track, look) that belong together, by their places in the lists.
        groups: members of each look that is a group of touching fruit, by the look's place.
    """

    pairs: tuple[tuple[int, int], ...]
    groups: dict[int, tuple[int, ...]]


def associate(tracks: Sequence[Track], looks: Sequence[Look], usual_area: float | None) -> Association:
    """Return which look is which track's.

    Args:
        tracks: moved on to this frame.
        looks: of this frame.
        usual_area: of one fruit, in pixels; None if it is not known yet.
    """
    if not tracks or not looks:
        return Association((), {})
    along = np.subtract.outer([t.along for t in tracks], [one.along for one in looks])
    across = np.subtract.outer([t.across for t in tracks], [one.across for one in looks])
    groups = _groups(tracks, looks, along, across, usual_area)
    lengths = np.maximum.outer([t.length for t in tracks], [one.length for one in looks])
    widths = np.maximum.outer([t.width for t in tracks], [one.width for one in looks])
    cost = (along / np.maximum(lengths, 1.0) / _ALONG) ** 2 + (across / np.maximum(widths, 1.0) / _ACROSS) ** 2
    allowed = np.ones_like(cost, bool)
    for place, members in groups.items():
        allowed[:, place] = False
        allowed[list(members)] = False
    sizes = np.log(np.divide.outer([t.area for t in tracks], [one.area for one in looks]))
    near = allowed & (cost < 1.0)
    unproved = _UNPROVED * np.array([[track.number is None] for track in tracks])
    pairs = _assign(np.where(near, cost + _SIZE * sizes**2 + unproved, _FAR))
    taken_tracks, taken_looks = {track for track, _ in pairs}, {place for _, place in pairs}
    # A fruit that rolled or a belt that was misjudged: further away, but only where nothing else comes into question.
    wide = allowed & (cost < _WIDER**2)
    wide[list(taken_tracks)], wide[:, list(taken_looks)] = False, False
    alone = wide & (wide.sum(1, keepdims=True) == 1) & (wide.sum(0, keepdims=True) == 1)
    pairs += [(int(track), int(place)) for track, place in np.argwhere(alone)]
    return Association(tuple(sorted(pairs)), groups)


def _groups(
    tracks: Sequence[Track],
    looks: Sequence[Look],
    along: NDArray[np.float64],
    across: NDArray[np.float64],
    usual_area: float | None,
) -> dict[int, tuple[int, ...]]:
    """Return the looks that cover several fruit at once, and which ones: those whose nearest look it is."""
    lengths = np.array([max(one.length, 1.0) for one in looks]) / 2
    widths = np.array([max(one.width, 1.0) for one in looks]) / 2
    inside = np.maximum(np.abs(along) / lengths, np.abs(across) / widths)
    home = np.argmin(inside, axis=1)
    found = {}
    for place in range(len(looks)):
        members = [int(track) for track in np.flatnonzero((home == place) & (inside[:, place] <= 1.0))]
        members = [n for n in members if tracks[n].number is not None or tracks[n].travelled > tracks[n].length / 4]
        if len(members) < 2:
            continue
        areas = [tracks[track].area for track in members]
        area = looks[place].area
        single = usual_area is not None and area < _LARGER * usual_area
        if area >= _LARGER * max(areas) and area >= _GROUP * sum(areas) and not single:
            found[place] = tuple(members)
    return found


def _assign(cost: NDArray[np.float64]) -> list[tuple[int, int]]:
    rows, columns = linear_sum_assignment(cost)
    return [(int(row), int(column)) for row, column in zip(rows, columns, strict=True) if cost[row, column] < _FAR]
