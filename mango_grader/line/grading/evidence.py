"""What is known of one fruit: the answers of the exits to its views."""

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mango_grader.line.grading.fusions import Fusion, fuse


@dataclass(frozen=True, eq=False)
class Evidence:
    """The answers of the exits to the views of one fruit.

    Attributes:
        frames: (V,), index of the frame that each view is from, in order.
        probabilities: (K, V, C) float32, calibrated, of every exit; NaN where an exit did not run.
        exits: (V,), the exit that each view has reached, from 1; 0 where none has run.

    Example:
        >>> from mango_grader.line.grading.fusions import Mean
        >>> answers = np.array([[[0.5, 0.5], [0.7, 0.3]], [[np.nan, np.nan], [0.9, 0.1]]], np.float32)
        >>> evidence = Evidence(frames=(3, 5), probabilities=answers, exits=(1, 2))
        >>> evidence.history(Mean()).round(2).tolist()
        [[0.7, 0.3]]
    """

    frames: tuple[int, ...]
    probabilities: NDArray[np.float32]
    exits: tuple[int, ...]

    def history(self, fusion: Fusion) -> NDArray[np.float64]:
        """Return the fused probabilities of the fruit, (k, C), for the k exits that all of its answered views reached.

        A row is what the views say at that exit. The last row takes the newest answer to each view, so it may know
        more. There is no row where no exit has run.

        Args:
            fusion: that makes one answer of several.
        """
        exits = np.array(self.exits, np.int64)
        answered = exits > 0
        if not answered.any():
            return np.empty((0, self.probabilities.shape[2]))
        shared = int(exits[answered].min())
        newest = self.probabilities[exits[answered] - 1, np.flatnonzero(answered)]
        before = self.probabilities[: shared - 1, answered]
        rows = [fuse(fusion, views, number) for number, views in enumerate([*before, newest], 1)]
        return np.stack(rows)

    @property
    def digest(self) -> str:
        """SHA-256 of everything in it, in hexadecimal, by which two are compared."""
        answers = np.ascontiguousarray(self.probabilities, "<f4")
        header = repr((self.frames, answers.shape, self.exits)).encode()
        return hashlib.sha256(header + answers.tobytes()).hexdigest()

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values: of each view, its frame and the answers of the exits that ran."""
        return {
            str(frame): self.probabilities[:count, view].tolist()
            for view, (frame, count) in enumerate(zip(self.frames, self.exits, strict=True))
        }
