"""What finished runs answered on their test images, so that runs can be pooled and compared image by image."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mango_grader.files import read_json
from mango_grader.runtime.calibration.fitting import Calibration
from mango_grader.runtime.exits import Threshold, stop_exits
from mango_grader.workflow.run.folder import RunFolder

Marks = Mapping[str, Mapping[str, str]]
"""Group → path → a digit for each exit, "1" where its answer was correct, else "0": plain data that JSON can hold."""


@dataclass(frozen=True)
class Answers:
    """Which answers on N test images were correct, and what they cost.

    Attributes:
        paths: N image files.
        groups: N names, the group of each image.
        correct: bool (exits, N), whether each exit's answer was correct.
        by_policy: bool (N,), whether the threshold policy's answer was correct.
        cost: float (N,), share of the last exit's multiply-adds that the policy spent, 0..1.
    """

    paths: tuple[str, ...]
    groups: tuple[str, ...]
    correct: NDArray[np.bool_]
    by_policy: NDArray[np.bool_]
    cost: NDArray[np.float64]

    def marks(self) -> Marks:
        """Return which exits' answers were correct, as plain data."""
        marks: dict[str, dict[str, str]] = {}
        for place, (group, path) in enumerate(zip(self.groups, self.paths, strict=True)):
            marks.setdefault(group, {})[path] = "".join("01"[int(correct)] for correct in self.correct[:, place])
        return marks


def answers_of(run: RunFolder) -> Answers:
    """Return what a finished run answered, in the order of the paths."""
    metrics = read_json(run.metrics)
    rows = [json.loads(line) for line in run.predictions.read_text().splitlines()]
    rows.sort(key=lambda row: str(row["path"]))
    probabilities = np.moveaxis(np.array([row["probabilities"] for row in rows]), 1, 0)
    labels = np.array([metrics["classes"].index(row["label"]) for row in rows])
    correct = probabilities.argmax(2) == labels
    settled = stop_exits(Threshold.of(Calibration.from_dict(metrics["calibration"]).tuned), probabilities)
    macs = np.array([each["macs"] for each in metrics["test"]["exits"]], dtype=float)
    return Answers(
        tuple(row["path"] for row in rows),
        tuple(row["group"] for row in rows),
        correct,
        correct[settled, np.arange(len(rows))],
        macs[settled] / macs[-1],
    )


def pooled(runs: Sequence[RunFolder]) -> Answers:
    """Return the answers of runs of equally many exits, in the order of the runs, then of the paths."""
    parts = [answers_of(run) for run in runs]
    return Answers(
        tuple(path for part in parts for path in part.paths),
        tuple(group for part in parts for group in part.groups),
        np.concatenate([part.correct for part in parts], axis=1),
        np.concatenate([part.by_policy for part in parts]),
        np.concatenate([part.cost for part in parts]),
    )
