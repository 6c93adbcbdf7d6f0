"""A run's report, one HTML file that loads nothing from anywhere, and the model card of its bundle."""

import base64
import io
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mango_grader.files import write_text
from mango_grader.report import formatting, plots
from mango_grader.report.advice import advice
from mango_grader.report.architecture import draw_architecture
from mango_grader.report.caveats import limits, warnings
from mango_grader.report.content import Example, ReportData
from mango_grader.text import printable_path
from mango_grader.training.metrics import ExitMetrics

_THUMBNAIL = (168, 168)
_MOST_ROWS = 40  # of a table of preferences


def write_report(path: str | os.PathLike[str], data: ReportData) -> None:
    """Write the report of `data` as an HTML file, whole or not at all.

    Args:
        path: the file to write; one that is there already is replaced.
        data: the content of the report.
    """
    write_text(path, render_report(data))


def render_report(data: ReportData) -> str:
    """Return the report as one HTML page: images, styles and script are inline, and nothing is loaded."""
    data = replace(data, classes=tuple(map(printable_path, data.classes)))
    charts = {
        "anytime": plots.anytime(data.exits, data.policy, data.references),
        "training": plots.training_progress(data.history),
        "architecture": None if data.spec is None else draw_architecture(data.spec, data.exits),
    }
    return formatting.render(
        "run.html",
        autoescape=True,
        data=data,
        warnings=warnings(data),
        limits=limits(data),
        advice=advice(data.combinations, data.default_policy),
        charts=charts,
        searches=plots.search_progress(data.history),
        shortlist=_shortlist_table(data.history),
        preferences=_preference_tables(data.preferences, data.choices),
        exits=[_exit_view(exit_metrics, data.classes) for exit_metrics in data.exits],
        wrong=[_example_view(each) for each in data.examples if not each.correct],
        correct=[_example_view(each) for each in data.examples if each.correct],
    )


def model_card(data: ReportData) -> str:
    """Return the model card as Markdown: intended use, data, figures of each exit with intervals, warnings, limits.

    Args:
        data: the content that the run's report has, too.
    """
    return formatting.render(
        "card.md",
        autoescape=False,
        data=data,
        warnings=warnings(data),
        limits=limits(data),
        advice=advice(data.combinations, data.default_policy),
    )


@dataclass(frozen=True)
class _Count:
    """Images of one class that got one answer, and their share of the class."""

    count: int
    share: float


@dataclass(frozen=True)
class _ExitView:
    metrics: ExitMetrics
    confusion: tuple[tuple[_Count, ...], ...]
    recalls: str
    reliability: str


@dataclass(frozen=True)
class _ExampleView:
    example: Example
    source: str


def _exit_view(metrics: ExitMetrics, classes: tuple[str, ...]) -> _ExitView:
    confusion = tuple(tuple(_Count(count, count / max(sum(row), 1)) for count in row) for row in metrics.confusion)
    recalls, reliability = plots.recalls(metrics, classes), plots.reliability(metrics)
    return _ExitView(metrics, confusion, recalls, reliability)


def _example_view(example: Example) -> _ExampleView:
    return _ExampleView(example, _data_url(example.image))


def _data_url(image: NDArray[np.uint8]) -> str:
    """Return a thumbnail of `image` (H, W, 3) as a data: URL."""
    thumbnail = Image.fromarray(image)
    thumbnail.thumbnail(_THUMBNAIL)
    buffer = io.BytesIO()
    thumbnail.save(buffer, "JPEG", quality=86)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"


@dataclass(frozen=True)
class _ShortlistTable:
    """Networks that short trainings compared. epochs: by rung. rows: number, score, work, losses by rung, chosen."""

    epochs: tuple[int, ...]
    rows: tuple[tuple[int, float | None, int, tuple[str, ...], bool], ...]


def _shortlist_table(history: Sequence[Mapping[str, Any]]) -> _ShortlistTable | None:
    """Return what short trainings found of each network; None where there were none."""
    rows = [row for row in history if row["phase"] == "shortlist"]
    if not rows:
        return None
    epochs = {row["rung"]: row["epochs"] for row in rows}
    trained = {
        (row["network"], row["rung"]): "diverged" if row["loss"] is None else f"{row['loss']:.3f}" for row in rows
    }
    first = (row for row in rows if row["rung"] == 1)
    return _ShortlistTable(
        tuple(epochs.values()),
        tuple(
            (
                row["network"],
                row["score"],
                row["macs"],
                tuple(trained.get((row["network"], rung), "") for rung in epochs),
                row["chosen"],
            )
            for row in first
        ),
    )


@dataclass(frozen=True)
class _PreferenceTable:
    """Decisions among the same candidates. rows: name, chosen candidates, and each one's preference in [0, 1]."""

    candidates: tuple[str, ...]
    rows: tuple[tuple[str, frozenset[str], tuple[float, ...]], ...]
    left_out: int


def _preference_tables(
    preferences: Mapping[str, Mapping[str, float]], choices: Mapping[str, Sequence[str]]
) -> tuple[_PreferenceTable, ...]:
    """Return one table for each set of candidates; long ones keep their first rows and say how many more there are."""
    alike: dict[tuple[str, ...], list[str]] = {}
    for decision, shares in preferences.items():
        alike.setdefault(tuple(shares), []).append(decision)
    return tuple(
        _PreferenceTable(
            candidates,
            tuple(
                (name, frozenset(choices.get(name, ())), tuple(preferences[name].values()))
                for name in decisions[:_MOST_ROWS]
            ),
            max(0, len(decisions) - _MOST_ROWS),
        )
        for candidates, decisions in alike.items()
    )
