"""Touching fruit: where a blob narrows between two wide parts, it is taken apart."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

_LEVELS = 24  # at which a blob is looked at, from its widest place down


@dataclass(eq=False)
class _Core:
    """The innermost part of one fruit, as large as it is before it hangs together with another one.

    place: of its deepest pixel, row and column. peak: its depth. level, label: where its pixels are found.
    """

    place: tuple[int, int]
    peak: float
    level: int
    label: int


def split(depth: NDArray[np.float32], mask: NDArray[np.uint8], neck: float, smallest: float) -> NDArray[np.int32]:
    """Return the number of the fruit that each pixel of a blob belongs to, from 1; 0 outside.

    Args:
        depth: (h, w), how deep in the blob each pixel lies; fruit are told apart by it.
        mask: (h, w) of 0 and 1, the blob; each of its pixels goes to the nearest fruit.
        neck: two parts are two fruit where the blob between them is narrower than this share of the thinner one.
        smallest: a fruit is at least this deep, in pixels.
    """
    levels = np.linspace(float(depth.max()), neck * smallest, _LEVELS, endpoint=False)[1:]
    labels = [cv2.connectedComponents((depth > level).astype(np.uint8), connectivity=8)[1] for level in levels]
    cores = _cores(depth, levels, labels, neck, smallest)
    if len(cores) < 2:
        return mask.astype(np.int32)
    apart = np.ones(depth.shape, np.uint8)
    for core in cores:
        apart[labels[core.level] == core.label] = 0
    _, nearest = cv2.distanceTransformWithLabels(apart, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_CCOMP)
    return np.asarray(nearest * mask, np.int32)


def _cores(
    depth: NDArray[np.float32],
    levels: NDArray[np.floating],
    labels: list[NDArray[np.int32]],
    neck: float,
    smallest: float,
) -> list[_Core]:
    """Return the cores of the fruit; the levels fall like those of a lake in which islands rise and grow together."""
    groups: list[list[_Core]] = []  # those of one group are on one island
    for number, level in enumerate(levels):
        islands: dict[int, list[list[_Core]]] = {}
        for group in groups:
            islands.setdefault(int(labels[number][group[0].place]), []).append(group)
        for label in range(1, int(labels[number].max()) + 1):
            if label not in islands:
                inside = np.where(labels[number] == label, depth, 0)
                row, column = divmod(int(inside.argmax()), depth.shape[1])
                if inside[row, column] >= smallest:
                    islands[label] = [[_Core((row, column), float(inside[row, column]), number, label)]]
        groups = []
        for label, joining in sorted(islands.items()):
            group = _joined(joining, float(level), neck)
            if len(group) == 1:
                group[0].level, group[0].label = number, label
            groups.append(group)
    return [core for group in groups for core in group]


def _joined(groups: list[list[_Core]], level: float, neck: float) -> list[_Core]:
    """Return the cores of islands that have become one; one that is hardly higher than the bridge is none."""
    first, *others = sorted(groups, key=lambda group: -max(core.peak for core in group))
    real = [group for group in others if len(group) > 1 or level < neck * group[0].peak]
    return [*first, *(core for group in real for core in group)]
