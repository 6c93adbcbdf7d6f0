"""The report: one HTML file that opens anywhere, loads nothing and asks nobody."""

import base64
import io
import os
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mango_grader import __version__
from mango_grader.files import write_text
from mango_grader.report import plots, text
from mango_grader.report.architecture import draw_architecture
from mango_grader.report.content import Example, ReportData
from mango_grader.report.preferences import preference_tables
from mango_grader.report.remarks import limits, warnings
from mango_grader.report.templating import render
from mango_grader.training.metrics import ExitMetrics

_THUMBNAIL = (168, 168)


def write_report(path: str | os.PathLike[str], data: ReportData) -> None:
    """Write the report of `data` to the HTML file `path`, atomically."""
    write_text(path, render_report(data))


def render_report(data: ReportData) -> str:
    """Return the report as one HTML page: inline pictures, styles and a few lines of script, no address to load."""
    data = replace(data, classes=tuple(map(text.printable, data.classes)))
    charts = {
        "anytime": plots.anytime(data.exits, data.policy, data.references),
        "training": plots.training_progress(data.history),
        "architecture": None if data.spec is None else draw_architecture(data.spec, data.exits),
    }
    return render(
        "run.html",
        autoescape=True,
        data=data,
        version=__version__,
        warnings=warnings(data),
        limits=limits(data),
        charts=charts,
        searches=plots.search_progress(data.history),
        preferences=preference_tables(data.preferences, data.choices),
        exits=[_exit_view(exit_metrics, data.classes) for exit_metrics in data.exits],
        wrong=[_example_view(each) for each in data.examples if not each.right],
        right=[_example_view(each) for each in data.examples if each.right],
        settings=dict(text.flat(data.settings)),
        provenance=dict(text.flat(data.provenance)),
    )


@dataclass(frozen=True)
class _Cell:
    count: int
    share: float


@dataclass(frozen=True)
class _ExitView:
    metrics: ExitMetrics
    confusion: tuple[tuple[_Cell, ...], ...]
    recalls: str
    reliability: str


@dataclass(frozen=True)
class _ExampleView:
    example: Example
    source: str


def _exit_view(metrics: ExitMetrics, classes: tuple[str, ...]) -> _ExitView:
    confusion = tuple(tuple(_Cell(count, count / max(sum(row), 1)) for count in row) for row in metrics.confusion)
    recalls, reliability = plots.recalls(metrics, classes), plots.reliability(metrics)
    return _ExitView(metrics, confusion, recalls, reliability)


def _example_view(example: Example) -> _ExampleView:
    return _ExampleView(example, picture_address(example.image))


def picture_address(image: NDArray[np.uint8]) -> str:
    """Return a thumbnail of `image` (H, W, 3) as a data: address."""
    picture = Image.fromarray(image)
    picture.thumbnail(_THUMBNAIL)
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=86)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"
