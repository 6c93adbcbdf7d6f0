"""The lot report: one HTML page that needs no other file and no network."""

import base64
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import jinja2
import numpy as np

import mango_grader
from mango_grader import files
from mango_grader.errors import UsageError
from mango_grader.line.config import LineConfig
from mango_grader.line.decision import Decision
from mango_grader.line.log.folder import LogFolder
from mango_grader.line.report.charts import Chart, Series
from mango_grader.line.report.figures import LotFigures, Mark, read_lot
from mango_grader.line.report.notes import CHUNK, DOUBTFUL
from mango_grader.line.report.verdict import BELT_LIMIT, what_is_wrong
from mango_grader.runtime.grading.outputs import PAGE, check_replaceable
from mango_grader.text import counted, one_line

_ROWS = 24  # rows of the slit scan: the first half of them from the beginning, the others from the end
_BINS = 60
_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400)  # seconds
_COLOURS = 5
_TEMPLATES = (Path(__file__).parent / "templates", Path(mango_grader.__file__).parent / "report" / "templates")


@dataclass(frozen=True)
class SlitRow:
    """One row of the slit scan.

    Attributes:
        first: index of its first frame.
        image: as a data URL.
        marks: of the fruit that were decided in it, each with its place from the left and the top in percent.
    """

    first: int
    image: str
    marks: Sequence[tuple[Mark, float, float]]


@dataclass(frozen=True)
class Thumbnail:
    """The image of one fruit.

    Attributes:
        decision: about it.
        image: as a data URL.
    """

    decision: Decision
    image: str


def write_report(log: LogFolder, out: str | os.PathLike[str]) -> LotFigures:
    """Write the report of a lot; return its figures.

    Args:
        log: of the line.
        out: path of the HTML file; it may replace an earlier page of ours.

    Raises:
        UsageError: the folder is no log, or the file is not ours.
        FormatError: the first line of the log is damaged.
    """
    check_replaceable(out, PAGE)
    lot = read_lot(log)
    files.write_text(out, _page(log, lot))
    return lot


def _page(log: LogFolder, lot: LotFigures) -> str:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([str(folder) for folder in _TEMPLATES]),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters |= {"counted": counted, "percent": _percent, "line": one_line}
    colours = _colours(lot)
    rows, left_out = _slit(log, lot)
    shown = [Thumbnail(decision, _data_url(log.thumbnails / f"{sequence}.jpg"))
             for sequence, decision in sorted(lot.thumbnails.items())]  # fmt: skip
    doubt = sorted(shown, key=lambda one: (one.decision.grade is not None, not one.decision.review,
                                           one.decision.confidence or 0.0))  # fmt: skip
    doubtful = doubt[:DOUBTFUL] if len(doubt) > DOUBTFUL else [one for one in doubt if _is_doubtful(one.decision)]
    return environment.get_template("lot.html").render(
        lot=lot,
        wrong=what_is_wrong(lot),
        colours=colours,
        throughput=_throughput(lot, colours),
        confidence=_confidence(lot),
        belt=_belt(lot),
        patches=_patches(lot),
        latency=_latency(lot),
        deadline=_deadline(lot),
        rows=rows,
        left_out=left_out,
        doubtful=doubtful,
        typical={grade: [one for one in shown if one.decision.grade == grade and one not in doubtful][:6]
                 for grade in lot.started.classes},
        version=mango_grader.__version__,
    )  # fmt: skip


def _is_doubtful(decision: Decision) -> bool:
    return bool(decision.review) or decision.grade is None


def _colours(lot: LotFigures) -> Mapping[str | None, str]:
    named: dict[str | None, str] = {
        grade: f"var(--series{n % _COLOURS + 1})" for n, grade in enumerate(lot.started.classes)
    }
    return {**named, None: "var(--warn)"}


def _percent(value: float) -> str:
    return f"{100 * value:.1f} %"


def _edges(lot: LotFigures) -> tuple[list[float], float]:
    """Return the left edges of the bars over time, and their width, in seconds since the first fruit."""
    step = next((float(one) for one in _STEPS if lot.seconds / one <= _BINS), lot.seconds / _BINS)
    return [n * step for n in range(int(lot.seconds / step) + 1)], step


def _throughput(lot: LotFigures, colours: Mapping[str | None, str]) -> str:
    if len(lot.times) < 2 or not lot.seconds:
        return ""
    edges, step = _edges(lot)
    places = ((np.array(lot.times) - min(lot.times)) / step).astype(int)
    grades = np.array([grade or "" for grade in lot.grades])
    series = []
    for grade in (*lot.started.classes, None):
        found = np.bincount(places[grades == (grade or "")], minlength=len(edges)) * 60 / step
        if found.any():
            series.append(Series(grade or "none", found.tolist(), colours[grade]))
    return Chart(edges, series, "since the first fruit", "fruit per minute", step).svg()


def _confidence(lot: LotFigures) -> str:
    if len(lot.times) < 2 or not lot.seconds:
        return ""
    edges, step = _edges(lot)
    places = ((np.array(lot.times) - min(lot.times)) / step).astype(int)
    confidences = np.array(lot.confidences)
    means = [float(np.mean(part)) if len(part := confidences[(places == n) & np.isfinite(confidences)]) else math.nan
             for n in range(len(edges))]  # fmt: skip
    middles = [edge + step / 2 for edge in edges]
    line = Series("mean confidence", means, "var(--series1)")
    return Chart(middles, [line], "since the first fruit", "mean confidence", top=1.0).svg() if len(edges) > 2 else ""


def _belt(lot: LotFigures) -> str:
    drift = lot.belt_drift
    if len(drift) < 2:
        return ""
    drift = drift[:: max(1, len(drift) // 400)]
    times = [time - drift[0][0] for time, _ in drift]
    line = Series("ΔE", [value for _, value in drift], "var(--series1)")
    return Chart(times, [line], "since the first frame", "ΔE of the belt", limit=BELT_LIMIT).svg()


def _patches(lot: LotFigures) -> list[str]:
    """Return the belt's colour at the beginning and at the end, as CSS."""
    found = []
    for part in (lot.belt[:5], lot.belt[-5:]) if lot.belt else ():
        lab = np.median([lab for _, lab in part], axis=0).astype(np.float32).reshape(1, 1, 3)
        red, green, blue = (
            round(255 * float(one)) for one in np.clip(cv2.cvtColor(lab, cv2.COLOR_LAB2RGB)[0, 0], 0, 1)
        )
        found.append(f"rgb({red} {green} {blue})")
    return found


def _latency(lot: LotFigures) -> Mapping[str, float]:
    """Return percentiles of the time from a frame to its decisions, in milliseconds."""
    if not lot.lags:
        return {}
    names = {"median": 50, "95 %": 95, "99 %": 99, "longest": 100}
    return {name: float(np.percentile(lot.lags, share)) * 1e3 for name, share in names.items()}


def _deadline(lot: LotFigures) -> float | None:
    found = lot.started.config.get("grading", {}).get("deadline_ms")
    return float(found) if isinstance(found, int | float) else None


def _slit(log: LogFolder, lot: LotFigures) -> tuple[list[SlitRow], int]:
    """Return the rows of the slit scan, and how many are left out in their middle."""
    paths = sorted(path for path in Path(log.path, "slit").glob("*.jpg") if path.stem.isdecimal())
    left_out = max(0, len(paths) - _ROWS)
    if left_out:
        paths = [*paths[: _ROWS // 2], *paths[-_ROWS // 2 :]]
    try:
        width = LineConfig.from_dict(lot.started.config).axes.width
    except UsageError:  # a log of another version
        return [], 0
    marks: dict[int, list[tuple[Mark, float, float]]] = {int(path.stem): [] for path in paths}
    for mark in lot.marks:
        first = mark.frame - mark.frame % CHUNK
        if first in marks:
            marks[first].append((mark, 100 * (mark.frame - first + 0.5) / CHUNK, 100 * mark.across / width))
    return [SlitRow(int(path.stem), _data_url(path), marks[int(path.stem)]) for path in paths], left_out


def _data_url(path: Path) -> str:
    return f"data:image/jpeg;base64,{base64.b64encode(path.read_bytes()).decode('ascii')}"
