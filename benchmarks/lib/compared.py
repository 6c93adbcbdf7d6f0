"""Runs of a comparison as cells, and where the entries stand."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.lib.measurements import CellFailedError
from mango_grader.progress import make_progress
from mango_grader.workflow.comparison.outcomes import ComparedRun, Outcome
from mango_grader.workflow.comparison.ranking import rank
from mango_grader.workflow.config import checked, plain


def measure(run: ComparedRun, work: str) -> dict[str, Any]:
    """Do the run below `work`, or what is missing of it; a pair that nothing obeys the limits of fails, and says so."""
    outcome = run.perform(Path(work), make_progress("none"))
    if outcome.error is not None:
        raise CellFailedError(outcome.error)
    plainly: dict[str, Any] = plain(outcome)
    return plainly


def outcomes_of(figures: Mapping[str, Any]) -> list[Outcome]:
    """Return what the cells' runs came to."""
    return [checked(Outcome, cell) for cell in figures.values()]


def summary(figures: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return where the entries stand, the best on validation first, with their differences."""
    return [plain(entry) for entry in rank(outcomes_of(figures))]
