"""A tracker after SORT (Bewley et al., ICIP 2016), the usual yardstick: it knows nothing of belts.

A Kalman filter of constant velocity for each box (centre, area, aspect), boxes assigned by overlap; written here from
the paper, with its settings. A fruit counts when the centre of its box goes over the line.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from mango_grader.line import Blob

MIN_OVERLAP, MAX_AGE, MIN_HITS = 0.3, 3, 3
_MOVE = np.eye(7) + np.eye(7, k=4) * np.array([1, 1, 1, 0, 0, 0, 0])[:, None]
_SEE = np.eye(4, 7)
_NOISE = np.diag([1.0, 1.0, 1.0, 1.0, 0.01, 0.01, 0.0001])
_SIGHT = np.diag([1.0, 1.0, 10.0, 10.0])


@dataclass
class SortTrack:
    """One box that is followed.

    Attributes:
        number: from 1.
        state: (7,) centre x and y, area, aspect, and the speeds of the first three, per frame.
        spread: (7, 7) its covariance.
        hits: frames that show it.
        missed: frames since the last one that showed it.
        counted: whether it has gone over the line.
    """

    number: int
    state: NDArray[np.float64]
    spread: NDArray[np.float64]
    hits: int = 1
    missed: int = 0
    counted: bool = False

    def predict(self) -> None:
        """Move on by a frame."""
        self.state = _MOVE @ self.state
        self.spread = _MOVE @ self.spread @ _MOVE.T + _NOISE
        self.missed += 1

    def correct(self, seen: NDArray[np.float64]) -> None:
        """Take in a box, (4,) centre x and y, area, aspect."""
        gain = self.spread @ _SEE.T @ np.linalg.inv(_SEE @ self.spread @ _SEE.T + _SIGHT)
        self.state = self.state + gain @ (seen - _SEE @ self.state)
        self.spread = (np.eye(7) - gain @ _SEE) @ self.spread
        self.hits, self.missed = self.hits + 1, 0

    @property
    def box(self) -> tuple[float, float, float, float]:
        """Left, top, right and bottom, in pixels."""
        x, y, area, aspect = self.state[:4]
        width = float(np.sqrt(max(area, 1.0) * max(aspect, 0.05)))
        height = max(float(area), 1.0) / width
        return x - width / 2, y - height / 2, x + width / 2, y + height / 2


class SortTracker:
    """Follows boxes.

    Args:
        line: column at which a fruit that moves to the right counts, in pixels.

    Attributes:
        passed: (frame, row of the centre) of each fruit that was counted.
    """

    def __init__(self, line: float) -> None:
        self.passed: list[tuple[int, float]] = []
        self._line = line
        self._tracks: list[SortTrack] = []
        self._count = 0

    def update(self, frame: int, blobs: Sequence[Blob]) -> list[tuple[int, Blob]]:
        """Return the number of each blob that belongs to a confirmed track.

        Args:
            frame: its index.
            blobs: that a finder found in it.
        """
        for track in self._tracks:
            track.predict()
        boxes = [(blob.box.left, blob.box.top, blob.box.right, blob.box.bottom) for blob in blobs]
        overlaps = np.array([[_overlap(track.box, box) for box in boxes] for track in self._tracks])
        pairs = []
        if overlaps.size:
            rows, columns = linear_sum_assignment(-overlaps)
            pairs = [(r, c) for r, c in zip(rows, columns, strict=True) if overlaps[r, c] >= MIN_OVERLAP]
        found = []
        for row, column in pairs:
            track, blob = self._tracks[row], blobs[column]
            track.correct(_measured(blob))
            found.append((track, blob))
        for column in set(range(len(blobs))) - {column for _, column in pairs}:
            self._count += 1
            state = np.concatenate([_measured(blobs[column]), np.zeros(3)])
            self._tracks.append(SortTrack(self._count, state, np.diag([10.0] * 4 + [1e4] * 3)))
        self._tracks = [track for track in self._tracks if track.missed <= MAX_AGE]
        confirmed = [(track, blob) for track, blob in found if track.hits >= MIN_HITS]
        for track, blob in confirmed:
            if not track.counted and blob.x >= self._line:
                track.counted = True
                self.passed.append((frame, blob.y))
        return [(track.number, blob) for track, blob in confirmed]


def _measured(blob: Blob) -> NDArray[np.float64]:
    box = blob.box
    return np.array(
        [(box.left + box.right) / 2, (box.top + box.bottom) / 2, box.width * box.height, box.width / box.height]
    )


def _overlap(one: tuple[float, float, float, float], other: tuple[float, float, float, float]) -> float:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    both = width * height
    areas = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other))
    return both / (areas - both)
