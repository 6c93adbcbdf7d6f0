"""Runs of a comparison as cells: what each came to on the test part, and what its validation part had promised."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from cells import CellFailedError

from mango_grader.files import read_json
from mango_grader.progress import make_progress
from mango_grader.workflow.comparison.outcomes import ComparedRun, Outcome
from mango_grader.workflow.comparison.standings import standings
from mango_grader.workflow.config import checked, plain
from mango_grader.workflow.folder import RunFolder


def measure(run: ComparedRun, work: str) -> dict[str, Any]:
    """Do the run below `work`, or what is missing of it; a pair that nothing obeys the limits of fails, and says so.

    validation: by exit, accuracy on the n validation pictures after the last epoch.
    """
    outcome = run.perform(Path(work), make_progress("none"))
    if outcome.error is not None:
        raise CellFailedError(outcome.error)
    folder = RunFolder(Path(work) / run.folder)
    last = [row for row in folder.read_history() if row["phase"] == "train"][-1]
    return {"outcome": plain(outcome), "validation": last["val_accuracy"], "n": len(read_json(folder.split)["val"])}


def outcomes_of(figures: Mapping[str, Any]) -> list[Outcome]:
    """Return what the cells' runs came to."""
    return [checked(Outcome, cell["outcome"]) for cell in figures.values()]


def summary(figures: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return where the entries stand, the most accurate on test first, with their differences.

    validation: by exit, pooled over the repeats; validated: of so many answers.
    """
    rows = []
    for standing in standings(outcomes_of(figures)):
        cells = [cell for cell in figures.values() if cell["outcome"]["entry"] == standing.name]
        counts = [cell["n"] for cell in cells]
        pooled = np.average([cell["validation"] for cell in cells], axis=0, weights=counts)
        rows.append(asdict(standing) | {"validation": pooled.tolist(), "validated": sum(counts)})
    return rows
