"""Runs of a comparison as measurements, and the ranking of its entries.

Who answered which test image correctly is kept compactly: the images once, and for each exit a string of 1 and 0.
"""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.lib.measurements import MeasurementFailedError
from mango_grader.progress import make_progress
from mango_grader.settings import checked, plain
from mango_grader.workflow.comparison.outcomes import ComparedRun, Outcome
from mango_grader.workflow.comparison.ranking import rank

_MARKS = "right"  # the key of `RunFigures.correct` in files


def measure(run: ComparedRun, work: str) -> dict[str, Any]:
    """Do the run below `work`, or what is missing of it.

    Raises MeasurementFailedError where no architecture satisfies the limits.
    """
    outcome = run.perform(Path(work), make_progress("none"))
    if outcome.error is not None:
        raise MeasurementFailedError(outcome.error)
    return compact(outcome)


def compact(outcome: Outcome) -> dict[str, Any]:
    """Return the outcome of a finished run with its marks as `images`, {path: group}, and a string for each exit."""
    found: dict[str, Any] = plain(outcome)
    marks = found["figures"].pop(_MARKS)
    images = {path: group for group, own in marks.items() for path in own}
    letters = [own[path] for own in marks.values() for path in own]
    return {**found, "images": images, "correct": ["".join(column) for column in zip(*letters, strict=True)]}


def outcome_of(figures: Mapping[str, Any]) -> Outcome:
    """Return the outcome that `compact` was given."""
    found = dict(figures)
    marks: dict[str, dict[str, str]] = {}
    for (path, group), *letters in zip(found.pop("images").items(), *found.pop("correct"), strict=True):
        marks.setdefault(group, {})[path] = "".join(letters)
    whole: Outcome = checked(Outcome, {**found, "figures": {**found["figures"], _MARKS: marks}})
    return whole


def answers_of(name: str, figures: Mapping[str, Any]) -> dict[str, tuple[str, list[bool]]]:
    """Return the group of each image that the runs of `name` were tested on, and which exits answer it correctly."""
    found = {}
    for run, kept in figures.items():
        if run.rsplit("/", 1)[0] == name:
            for (path, group), *letters in zip(kept["images"].items(), *kept["correct"], strict=True):
                found[path] = group, [letter == "1" for letter in letters]
    return found


def outcomes_of(figures: Mapping[str, Any]) -> list[Outcome]:
    """Return what the runs achieved."""
    return [outcome_of(each) for each in figures.values()]


def summary(figures: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the ranking, the best on validation first, with their differences."""
    return [asdict(entry) for entry in rank(outcomes_of(figures))]
