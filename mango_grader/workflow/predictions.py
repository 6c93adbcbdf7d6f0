"""What a model answered on labelled images, one row an image, beside what would have been correct."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from mango_grader.runtime.grading.writers import write_rows
from mango_grader.text import printable_path


@dataclass(frozen=True)
class Prediction:
    """One labelled image, and the answer to it.

    Attributes:
        path: of the image, relative to the data's folder.
        label: its class.
        group: that it belongs to.
        grade: the answer; None where there is none.
        probabilities: at the exit that answered, in the model's order of classes.
        confidence: probability of the answer, 0..1.
        exit: that answered, from 1.
        error: why there is no answer; None where there is one.
    """

    path: str
    label: str
    group: str
    grade: str | None = None
    probabilities: tuple[float, ...] | None = None
    confidence: float | None = None
    exit: int | None = None
    error: str | None = None

    @property
    def correct(self) -> bool | None:
        """Whether the answer is the label; None without an answer."""
        return None if self.grade is None else self.grade == self.label


def write_predictions(path: str | os.PathLike[str], classes: Sequence[str], predictions: Iterable[Prediction]) -> None:
    """Write one row per prediction, the whole file or nothing.

    Args:
        path: of the file: .csv, .jsonl or .parquet.
        classes: in the model's order.
        predictions: one per row.

    Raises:
        UsageError: the file has another ending.
    """
    kinds: dict[str, type] = {
        **dict.fromkeys(("path", "label", "group", "grade"), str),
        "correct": bool,
        "confidence": float,
        "exit": int,
        **{f"p_{name}": float for name in classes},
        "error": str,
    }
    write_rows(path, kinds, (_row(each, classes) for each in predictions))


def _row(one: Prediction, classes: Sequence[str]) -> dict[str, Any]:
    numbers = one.probabilities or (None,) * len(classes)
    return {
        "path": printable_path(one.path),
        "label": one.label,
        "group": printable_path(one.group),
        "grade": one.grade,
        "correct": one.correct,
        "confidence": _rounded(one.confidence),
        "exit": one.exit,
        **{f"p_{name}": _rounded(value) for name, value in zip(classes, numbers, strict=True)},
        "error": None if one.error is None else printable_path(one.error),
    }


def _rounded(share: float | None) -> float | None:
    return None if share is None else round(share, 6)
