"""The figures of an evaluation as a file: JSON, a table with a row for each policy and rule, or a page."""

import csv
import os
from pathlib import Path
from typing import Any

from mango_grader import files
from mango_grader.report import EvaluationData, write_evaluation
from mango_grader.runtime.grading.outputs import FIGURE_COLUMNS, FIGURES, check_replaceable
from mango_grader.training.bootstrap import Difference, Estimate
from mango_grader.training.combinations import CombinationMetrics
from mango_grader.workflow.evaluate import Evaluation


def write_figures(path: str | os.PathLike[str], evaluation: Evaluation) -> None:
    """Write the figures of an evaluation, the whole file or nothing.

    Args:
        path: of the file: .json, .csv or .html.
        evaluation: whose figures are written.

    Raises:
        UsageError: the file has another ending, or exists and is not one of ours.
    """
    check_replaceable(path, FIGURES)
    suffix = Path(path).suffix.lower()
    if suffix == ".json":
        files.write_json(path, evaluation.to_dict())
    elif suffix == ".csv":
        _write_table(path, evaluation)
    else:
        write_evaluation(path, page_data(evaluation))


def page_data(evaluation: Evaluation) -> EvaluationData:
    """Return what the page of an evaluation shows."""
    answered = evaluation.answered
    return EvaluationData(
        title=evaluation.data,
        model=evaluation.model,
        precision=evaluation.precision,
        classes=evaluation.classes,
        combinations=evaluation.combinations,
        confused=next(
            one for one in evaluation.combinations if (one.policy, one.decide) == (answered.policy, answered.decide)
        ),
        anytime=evaluation.anytime,
        refused=tuple((one.name, one.reason) for one in evaluation.refused),
        priced_by=evaluation.priced_by,
        warnings=evaluation.warnings,
        errors=evaluation.errors,
    )


def _write_table(path: str | os.PathLike[str], evaluation: Evaluation) -> None:
    rows = [_row(one) for one in evaluation.combinations]
    with files.replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, rows[0])
        table.writeheader()
        table.writerows(rows)


def _row(one: CombinationMetrics) -> dict[str, Any]:
    answers = one.answers
    estimates: dict[str, Estimate | Difference | None] = {
        "accuracy": answers.accuracy,
        "balanced_accuracy": answers.balanced_accuracy,
        "kappa": answers.kappa,
        "extreme_confusion": answers.extreme_confusion,
        "calibration_error": answers.calibration_error,
        "loss": one.loss,
        "macs": one.macs,
        "work": one.work,
        "review": one.review,
        "kept_accuracy": one.kept_accuracy,
        "cost_per_1000": one.cost,
    }
    return {
        **dict(zip(FIGURE_COLUMNS, (one.policy, one.decide, answers.count, answers.groups), strict=True)),
        **{f"exit_{number}": share for number, share in enumerate(one.shares, start=1)},
        **{name: value for key, found in estimates.items() for name, value in _bounds(key, found).items()},
        "p50_ms": one.latency and one.latency.p50,
        "p99_ms": one.latency and one.latency.p99,
        "late": one.late,
    }


def _bounds(name: str, found: Estimate | Difference | None) -> dict[str, float | None]:
    if found is None:
        return dict.fromkeys((name, f"{name}_low", f"{name}_high"))
    return {name: found.value, f"{name}_low": found.low, f"{name}_high": found.high}
