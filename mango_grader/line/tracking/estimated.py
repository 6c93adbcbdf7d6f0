"""The motion of a belt without an encoder, estimated from the frames: from the fruit on it and from its texture."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mango_grader.line.belt import Axes
from mango_grader.line.frame import Frame
from mango_grader.line.tracking.looks import Look
from mango_grader.line.tracking.texture import BeltTexture
from mango_grader.line.tracking.track import Track

_FRUIT, _TEXTURE = 2.0, 1.5  # what full agreement of all fruit, and of the texture, is worth against what is expected
_SURPRISE, _MOST_SURPRISING = 0.25, 2.0  # cost of a shift that lies one width from what is expected, and the most
_UNPROVED = 0.3  # the voice of what may be no fruit
_PARTIAL = 0.3  # the voice of fruit that are partly in view
_FAINT = 0.25  # a correlation of the texture below it says nothing
_TRUST_MEMORY = 0.9
_LEARNING = 0.1  # how much surer of the speed a frame makes that fits it perfectly
_SPEED_SECONDS = 0.15  # over which the speed is averaged


class EstimatedMotion:
    """Finds the shift along the belt that explains a frame best.

    A shift is worth what the fruit say (each lies where one was before), what the belt's texture says, and how near it
    is to the speed so far, to the usual speed or to a stop. A periodic mesh fits at every multiple of its period, a
    table of turning rollers always fits best at rest: fruit decide, and texture that contradicts them loses trust.

    Args:
        axes: of the camera and the belt.
    """

    def __init__(self, axes: Axes) -> None:
        self._length = float(axes.length)
        self._usual = axes.belt.speed
        self._texture = BeltTexture(axes)
        self._time: float | None = None
        self._speed = axes.belt.speed or 0.0  # pixels per second, lately
        self._sure = 0.0 if axes.belt.speed is None else 1.0  # of that speed
        self._trust = 1.0  # in the texture

    def advance(self, frame: Frame, tracks: Sequence[Track], looks: Sequence[Look]) -> float:
        """Return the pixels by which the belt has moved since the frame before."""
        assert frame.image is not None
        bands = self._texture.reduce(frame.image, [look.blob.box for look in looks])
        scores = self._texture.compare(bands)
        moved = 0.0
        if self._time is not None and scores is not None:
            moved = self._estimate(frame.time - self._time, _Votes(tracks, looks), scores)
        self._texture.learn(bands, moved)
        self._time = frame.time
        return moved

    def _estimate(self, seconds: float, votes: "_Votes", scores: NDArray[np.float64]) -> float:
        expected = self._speed * seconds
        candidates = np.concatenate([[expected, 0.0], votes.shifts, self._peaks(scores)])
        candidates = candidates[np.abs(candidates) < 0.75 * self._length]
        fruit = votes.agreement(candidates)
        texture = self._at(scores, candidates)
        worth = _FRUIT * votes.weight * fruit + _TEXTURE * self._trust * np.where(texture > _FAINT, texture, 0.0)
        chosen = int(np.argmax(worth - self._surprise(candidates, expected, seconds)))
        best, evidence = float(candidates[chosen]), float(worth[chosen])
        moved = self._refine(best, votes, scores)
        if seconds > 0:
            self._sure += (1 - self._sure) * min(1.0, _LEARNING * evidence)
            weight = 1.0 - self._sure * float(np.exp(-seconds / _SPEED_SECONDS))
            self._speed += weight * (moved / seconds - self._speed)
        return moved

    def _surprise(self, shifts: NDArray[np.float64], expected: float, seconds: float) -> NDArray[np.float64]:
        """Return how surprising shifts are before anything is seen: belts go on as before, stop, or run as usual."""
        usual = self._usual or abs(self._speed)
        width = 2.0 + 0.15 * usual * seconds + 2.0 * usual * seconds**2
        hopes = [(0.0, expected), (0.4, 0.0)] + ([(0.3, self._usual * seconds)] if self._usual else [])
        costs = [cost + _SURPRISE * np.abs(shifts - place) / width for cost, place in hopes]
        known = np.minimum(np.min(costs, axis=0), _MOST_SURPRISING)
        return np.asarray(self._sure * known + (1 - self._sure) * np.abs(shifts) / self._length)

    def _refine(self, shift: float, votes: "_Votes", scores: NDArray[np.float64]) -> float:
        """Return a shift to a fraction of a pixel: of the texture where it agrees with the fruit, else of the fruit."""
        scale = self._texture.scale
        own = votes.mean(shift)
        middle = len(scores) // 2 + round((shift if own is None else own) / scale)
        low, high = max(middle - 2, 1), min(middle + 3, len(scores) - 1)
        peak = None
        if low < high:
            top = low + int(np.argmax(scores[low:high]))
            left, here, right = scores[top - 1 : top + 2]
            if here > _FAINT and here >= left and here >= right and left + right < 2 * here:
                peak = scale * (top + 0.5 * (left - right) / (left + right - 2 * here) - len(scores) // 2)
        if own is not None and votes.weight > 0.4 and abs(own) > 3 * scale:
            # At rest everything agrees; only motion shows whether the texture is the belt's.
            self._trust = _TRUST_MEMORY * self._trust + (1 - _TRUST_MEMORY) * (peak is not None)
        if peak is not None and self._trust > 0.5:
            return float(peak)
        return shift if own is None else own

    def _peaks(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        inner = scores[1:-1]
        tops = np.flatnonzero((inner > _FAINT) & (inner >= scores[:-2]) & (inner > scores[2:])) + 1
        return np.asarray((tops - len(scores) // 2) * self._texture.scale, np.float64)

    def _at(self, scores: NDArray[np.float64], shifts: NDArray[np.float64]) -> NDArray[np.float64]:
        places = (np.arange(len(scores)) - len(scores) // 2) * self._texture.scale
        return np.interp(shifts, places, scores, left=0.0, right=0.0)

    def state(self) -> dict[str, Any]:
        """Return all that it knows as plain JSON values."""
        return {
            "time": self._time,
            "speed": self._speed,
            "sure": self._sure,
            "trust": self._trust,
            "texture": self._texture.state(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take over what `state` returned."""
        self._time, self._speed = state["time"], state["speed"]
        self._sure, self._trust = state["sure"], state["trust"]
        self._texture.restore(state["texture"])


class _Votes:
    """What fruit say of the belt's shift: each pair of a track and a look that may be the same fruit is a vote."""

    def __init__(self, tracks: Sequence[Track], looks: Sequence[Look]) -> None:
        tracks = [track for track in tracks if track.missed == 0 and not track.hidden]
        voices = np.array([1.0 if track.number is not None else _UNPROVED for track in tracks])
        self._pull = np.zeros((len(tracks), len(looks)))
        self._offsets = np.zeros_like(self._pull)
        self._width = np.array([1.0 + 0.12 * track.length for track in tracks])
        if tracks and looks:
            across = np.subtract.outer([t.across for t in tracks], [one.across for one in looks])
            sizes = np.log(np.divide.outer([t.area for t in tracks], [one.area for one in looks]))
            half = np.array([0.35 * track.width + 1.0 for track in tracks])[:, None]
            whole = np.where([one.partial for one in looks], _PARTIAL, 1.0)
            self._pull = np.exp(-((across / half) ** 2) / 2 - (sizes / 0.5) ** 2 / 2) * whole
            self._offsets = -np.subtract.outer([t.along for t in tracks], [one.along for one in looks])
        self._voices = voices
        total = float(voices.sum())
        self.weight = total / (total + 0.5)
        self.shifts = self._offsets[self._pull > 0.2]

    def agreement(self, shifts: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the share of the fruit that each shift explains."""
        if not self._pull.size:
            return np.zeros(len(shifts))
        misses = (shifts[:, None, None] - self._offsets) / self._width[:, None]
        explained = (self._pull * np.exp(-(misses**2) / 2)).max(2)
        return np.asarray(explained @ self._voices / self._voices.sum())

    def mean(self, shift: float) -> float | None:
        """Return the weighted median of the votes near a shift; None if there are none."""
        if not self._pull.size:
            return None
        misses = np.abs(self._offsets - shift) / self._width[:, None]
        near = (misses < 2.5) & (self._pull > 0.2)
        if not near.any():
            return None
        order = np.argsort(self._offsets[near], kind="stable")
        weights = (self._pull * self._voices[:, None])[near][order].cumsum()
        middle = int(np.searchsorted(weights, weights[-1] / 2))
        return float(self._offsets[near][order][middle])
