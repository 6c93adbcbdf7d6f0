"""Touching fruit: where a blob narrows between two wide parts, it is taken apart."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

_LEVELS = 28  # at which the blob is looked at, from its widest place down


@dataclass(eq=False)
class _Core:
    """The innermost part of one fruit: what is left of a blob that shrinks, as long as nothing else hangs on it."""

    place: tuple[int, int]
    peak: float
    mask: NDArray[np.bool_]


def split(depth: NDArray[np.float32], neck: float, smallest: float) -> NDArray[np.int32]:
    """Return the number of the fruit that each pixel of a blob belongs to, from 1; 0 outside.

    Args:
        depth: (h, w), distance of each pixel of the blob from its outline, 0 outside.
        neck: two parts are two fruit where the blob between them is narrower than this share of the thinner one.
        smallest: a fruit is at least this deep, in pixels.
    """
    cores = _cores(depth, neck, smallest)
    if len(cores) < 2:
        return (depth > 0).astype(np.int32)
    apart = np.ones(depth.shape, np.uint8)
    for core in cores:
        apart[core.mask] = 0
    _, nearest = cv2.distanceTransformWithLabels(apart, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_CCOMP)
    labels: NDArray[np.int32] = np.where(depth > 0, nearest, 0).astype(np.int32)
    return labels


def _cores(depth: NDArray[np.float32], neck: float, smallest: float) -> list[_Core]:
    """Return the cores of the fruit of a blob: `level` falls like water in a lake whose peaks are islands."""
    top = float(depth.max())
    groups: list[list[_Core]] = []  # those of one group hang together at this level
    for level in np.linspace(top, 0, _LEVELS, endpoint=False)[1:]:
        count, labels = cv2.connectedComponents((depth > level).astype(np.uint8), connectivity=8)
        islands: list[list[list[_Core]]] = [[] for _ in range(count)]
        for group in groups:
            islands[labels[group[0].place]].append(group)
        groups = []
        for number in range(1, count):
            if not islands[number]:
                inside = np.where(labels == number, depth, 0)
                place = np.unravel_index(int(inside.argmax()), depth.shape)
                if depth[place] >= smallest:
                    groups.append([_Core((int(place[0]), int(place[1])), float(depth[place]), labels == number)])
                continue
            group = _joined(islands[number], float(level), neck)
            if len(group) == 1:
                group[0].mask = labels == number
            groups.append(group)
    return [core for group in groups for core in group]


def _joined(groups: list[list[_Core]], level: float, neck: float) -> list[_Core]:
    """Return the cores of islands that have become one; one that is hardly higher than the bridge is none."""
    first, *others = sorted(groups, key=lambda group: -max(core.peak for core in group))
    real = [group for group in others if len(group) > 1 or level < neck * group[0].peak]
    return [*first, *(core for group in real for core in group)]
