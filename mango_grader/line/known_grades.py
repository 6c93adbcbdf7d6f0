"""Grades that are known of fruit on a belt: joined by the name of the fruit, or by its lane and when it passed."""

import csv
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from os import PathLike
from pathlib import Path

from mango_grader.errors import UsageError
from mango_grader.line.observations import Passage
from mango_grader.text import one_line

_LABELS = ("label", "grade")
_MOMENTS = ("passed_time", "decided_time", "passed_frame", "decided_frame")
_CLOSE = 0.25  # of the usual distance of two fruit in a lane, within which they are taken for the same


@dataclass(frozen=True)
class KnownGrades:
    """The grades of a table.

    Attributes:
        by_name: label by the name of the fruit; empty if the table joins by lane and moment.
        by_lane: for each lane, when fruit passed (in order) and their labels.
        by_frame: whether the moments are indices of frames, not seconds.

    Example:
        >>> grades = KnownGrades(by_lane={1: ((2.0, "A"), (3.0, "C"))})
        >>> grades.at(1, 2.96), grades.at(1, 2.5), grades.at(2, 2.0)
        ('C', '', '')
    """

    by_name: Mapping[str, str] = field(default_factory=dict)
    by_lane: Mapping[int, Sequence[tuple[float, str]]] = field(default_factory=dict)
    by_frame: bool = False

    def label_of(self, passage: Passage, name: str) -> str:
        """Return the label of a fruit, "" if it is not known.

        Args:
            passage: of the fruit.
            name: of the fruit.
        """
        if self.by_name:
            return self.by_name.get(name, "")
        if passage.status != "decided":
            return ""
        return self.at(passage.lane, passage.passed_frame if self.by_frame else passage.passed_time)

    def at(self, lane: int, moment: float) -> str:
        """Return the label of the fruit that passed in a lane at about a moment, "" if there is none."""
        rows = self.by_lane.get(lane, ())
        if not rows:
            return ""
        gaps = [late - early for (early, _), (late, _) in pairwise(rows)]
        within = _CLOSE * statistics.median(gaps) if gaps else math.inf
        at, label = min(rows, key=lambda row: abs(row[0] - moment))
        return label if abs(at - moment) <= within else ""


def read_grades(path: str | PathLike[str]) -> KnownGrades:
    """Read grades from a CSV.

    Args:
        path: of a CSV with a column `label` or `grade`, and either `fruit_id`, or `lane` and one of `passed_time`,
            `decided_time` (seconds), `passed_frame` and `decided_frame`, as `truth.csv` of a simulated belt has them.

    Raises:
        UsageError: the file cannot be read, or a column is missing; one line says which.
    """
    rows = _rows(Path(path))
    columns = set(rows[0]) if rows else set()
    label = next((name for name in _LABELS if name in columns), None)
    moment = next((name for name in _MOMENTS if name in columns), None)
    if label is None:
        raise UsageError(f"{path}: there is no column label or grade")
    if "fruit_id" in columns:
        return KnownGrades(by_name={row["fruit_id"]: row[label] for row in rows if row[label]})
    if moment is None or "lane" not in columns:
        raise UsageError(
            f"{path}: name the fruit in a column fruit_id, or say when they passed: lane and {_MOMENTS[0]}"
        )
    lanes: dict[int, list[tuple[float, str]]] = {}
    try:
        for row in rows:
            if row[moment]:
                lanes.setdefault(int(row["lane"]), []).append((float(row[moment]), row[label]))
    except ValueError as error:
        raise UsageError(f"{path}: lane and {moment} must be numbers ({one_line(str(error))})") from error
    return KnownGrades(
        by_lane={lane: sorted(found) for lane, found in lanes.items()}, by_frame=moment.endswith("frame")
    )


def _rows(path: Path) -> list[dict[str, str]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return [{key: (value or "").strip() for key, value in row.items() if key} for row in csv.DictReader(file)]
    except OSError as error:
        raise UsageError(f"{path}: {str(error.strerror).lower()}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{path} is no CSV in UTF-8: {one_line(str(error))}") from error
