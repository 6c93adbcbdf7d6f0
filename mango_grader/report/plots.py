"""The report's charts: accuracy against cost, reliability, recall, and the progress of search and training."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import EngFormatter, MaxNLocator

from mango_grader.report.charts import CARD, LINE, SERIES, SOFT, amounts, chart, is_narrow, name_rows, percent
from mango_grader.report.content import Reference
from mango_grader.report.formatting import shortened
from mango_grader.text import counted
from mango_grader.training.bootstrap import Estimate
from mango_grader.training.metrics import ExitMetrics, PolicyMetrics

_BLUE, _ORANGE, _GREEN, _PURPLE, _SKY = SERIES
_CHARTS, _INFORMATIVE = 4, ("loss", "reward", "score", "entropy", "baseline")
_WIDE, _HALF = 12.0, 5.7  # inches; one inch is 90 pixels on a full page
_ABOVE: dict[str, Any] = {"loc": "lower left", "bbox_to_anchor": (-0.02, 1.0), "borderaxespad": 0.2}

Rows = Sequence[Mapping[str, Any]]


def anytime(exits: Sequence[ExitMetrics], policy: PolicyMetrics | None, references: Sequence[Reference]) -> str:
    """Draw accuracy against multiply-adds, with 95 % intervals.

    Args:
        exits: the curve.
        policy: a single mark; None for no mark.
        references: other models, a mark each.
    """

    def draw(axes: list[Axes]) -> None:
        (axis,) = axes
        macs = [each.macs for each in exits]
        accuracy = [each.accuracy.value for each in exits]
        low, high = zip(*(_bounds(each.accuracy) for each in exits), strict=True)
        axis.fill_between(macs, low, high, color=_BLUE, alpha=0.13, linewidth=0)
        axis.plot(macs, accuracy, "-", color=_BLUE, label="exits, with 95 % interval")
        _errors(axis, macs, [each.accuracy for each in exits], _Marker(_BLUE, "o"))
        for each in exits:
            axis.annotate(
                f"exit {each.exit}", (each.macs, each.accuracy.value), (7, -14), textcoords="offset points", color=SOFT
            )
        if policy is not None:
            star = _Marker(_ORANGE, "*", 15, f"policy “{policy.name}”")
            _errors(axis, [policy.macs.value], [policy.accuracy], star)
        for reference in references:
            _errors(axis, [reference.macs], [reference.accuracy], _Marker(SOFT, "D"))
            axis.annotate(
                shortened(reference.name, 18 if is_narrow(axis) else 40),
                (reference.macs, reference.accuracy.value),
                (-8, 4),
                textcoords="offset points",
                color=SOFT,
                ha="right",
            )
        amounts(axis, [*macs, *(reference.macs for reference in references)])
        axis.yaxis.set_major_formatter(percent())
        axis.set(xlabel="work per image (multiply-adds)", ylabel="accuracy")
        axis.legend(**(_ABOVE if is_narrow(axis) else {"loc": "lower right"}))

    return chart(draw, _WIDE, 4.6, narrow_height=3.9)


def reliability(metrics: ExitMetrics) -> str:
    """Draw the share of correct answers at each confidence; bars below show how many answers there were."""

    def draw(axes: list[Axes]) -> None:
        (axis,) = axes
        bins = [each for each in metrics.reliability if each.count]
        largest = max(each.count for each in bins)
        axis.plot([0, 1], [0, 1], color=SOFT, linewidth=1, linestyle=(0, (3, 3)))
        axis.bar(
            [each.confidence for each in bins], [0.25 * each.count / largest for each in bins], 0.045,
            color=LINE, zorder=1,
        )  # fmt: skip
        axis.plot([each.confidence for each in bins], [each.accuracy for each in bins], color=_BLUE, linewidth=1.2)
        axis.scatter(
            [each.confidence for each in bins], [each.accuracy for each in bins],
            [20 + 90 * each.count / largest for each in bins], color=_BLUE, edgecolor=CARD, zorder=3,
        )  # fmt: skip
        low = min([0.5, *(each.confidence for each in bins)])
        axis.set(xlim=(max(0, low - 0.06), 1.02), ylim=(-0.02, 1.04), xlabel="confidence", ylabel="share correct")
        for direction in (axis.xaxis, axis.yaxis):
            direction.set_major_formatter(percent())

    return chart(draw, _HALF, 3.6)


def recalls(metrics: ExitMetrics, classes: Sequence[str]) -> str:
    """Draw each class's recall with its 95 % interval.

    Args:
        metrics: figures of one exit.
        classes: their names, in class order.
    """

    def draw(axes: list[Axes]) -> None:
        (axis,) = axes
        places = np.arange(len(classes))[::-1]
        known = [(place, recall) for place, recall in zip(places, metrics.recalls, strict=True) if recall is not None]
        axis.hlines(places, 0, 1, color=LINE, linewidth=0.8)
        for place, recall in known:
            low, high = _bounds(recall)
            axis.plot([low, high], [place, place], color=_BLUE, linewidth=5, alpha=0.25)
            axis.plot([recall.value], [place], "o", color=_BLUE, markersize=8)
        name_rows(axis, places, classes)
        axis.set(xlim=(-0.02, 1.02), ylim=(-0.6, len(classes) - 0.3), xlabel="recall (share of the class recognised)")
        axis.grid(visible=False)
        axis.spines["left"].set_visible(False)
        axis.xaxis.set_major_formatter(percent())

    rows = len(classes)
    return chart(draw, _HALF, max(1.6, 0.75 + 0.36 * rows), narrow_height=0.85 + 0.5 * rows)


def search_progress(history: Rows) -> tuple[str, ...]:
    """Draw one chart for each figure that the search reported by round, and one for the candidates that it scored."""
    series: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for row in history:
        phase = str(row["phase"])
        if phase.startswith("search-") and "round" in row:
            for name, value in row.items():
                if name not in ("phase", "round") and isinstance(value, int | float):
                    series.setdefault((phase.removeprefix("search-"), name), []).append((row["round"], value))
    # The most informative first; all of them would be too many small charts.
    chosen = sorted(series, key=lambda key: _INFORMATIVE.index(key[1]) if key[1] in _INFORMATIVE else len(_INFORMATIVE))
    candidates = [row for row in history if row["phase"] == "search-candidate" and row["score"] is not None]
    charts = [_search_figure(key, series[key]) for key in chosen[: _CHARTS - bool(candidates)]]
    return (*charts, chart(lambda axes: _candidates(axes[0], candidates), _HALF, 2.9)) if candidates else tuple(charts)


def _search_figure(key: tuple[str, str], points: Sequence[tuple[float, float]]) -> str:
    phase, name = key
    return chart(lambda axes: _trend(axes[0], f"{name} ({phase.replace('-', ' and ')})", points), _HALF, 2.9)


def training_progress(history: Rows) -> str | None:
    """Draw the loss and each exit's validation accuracy by epoch; None where nothing was trained."""
    rows = [row for row in history if row["phase"] == "train"]
    if not rows:
        return None

    def draw(axes: list[Axes]) -> None:
        epochs = [row["epoch"] for row in rows]
        _trend(axes[0], "training loss, all exits", [(row["epoch"], row["loss"]) for row in rows])
        axes[0].set_xlabel("epoch")
        for index, accuracy in enumerate(zip(*(row["val_accuracy"] for row in rows), strict=True)):
            colour, label = SERIES[index % len(SERIES)], f"exit {index + 1}"
            axes[1].plot(epochs, accuracy, color=colour, marker=_dot(accuracy), label=label)
        axes[1].set_title("validation accuracy")
        axes[1].set_xlabel("epoch")
        axes[1].yaxis.set_major_formatter(percent())
        axes[1].xaxis.set_major_locator(_whole_numbers())
        axes[1].legend(loc="lower right")

    return chart(draw, _WIDE, 3.4, 2, narrow_height=2.8)


def _candidates(axis: Axes, rows: Rows) -> None:
    scores = np.array([float(row["score"]) for row in rows])
    costs = np.array([float(np.ravel(row["cost"])[-1]) for row in rows])
    best = int(scores.argmax())
    axis.scatter(costs, scores, 22, color=_SKY, alpha=0.75, linewidth=0)
    axis.scatter(costs[best], scores[best], 110, color=_ORANGE, marker="*", zorder=3)
    axis.set_title(f"score of {counted(len(rows), 'candidate')} (★ best)")
    axis.set_xlabel("cost")
    axis.xaxis.set_major_formatter(EngFormatter(sep="\N{THIN SPACE}"))
    axis.xaxis.set_major_locator(MaxNLocator(4))


def _trend(axis: Axes, title: str, points: Sequence[tuple[float, float]]) -> None:
    at, values = np.array(points, dtype=float).T
    window = max(1, len(values) // 15)
    if window > 1:
        axis.plot(at, values, color=_BLUE, alpha=0.3, linewidth=1)
        smooth = np.convolve(values, np.ones(window) / window, mode="valid")
        at, values = at[window - 1 :], smooth
    axis.plot(at, values, color=_BLUE, marker=_dot(values))
    axis.set_title(title)
    axis.set_xlabel("round")
    axis.xaxis.set_major_locator(_whole_numbers())


def _dot(values: Sequence[float]) -> str | None:
    """Return the mark of a line: a single point has no line that could be seen."""
    return "o" if len(values) == 1 else None


def _whole_numbers() -> MaxNLocator:
    return MaxNLocator(5, integer=True, min_n_ticks=1)


@dataclass(frozen=True)
class _Marker:
    colour: str
    shape: str
    size: int = 7
    label: str | None = None


def _errors(axis: Axes, at: Sequence[float], values: Sequence[Estimate], marker: _Marker) -> None:
    """Mark figures with their 95 % intervals."""
    heights = [value.value for value in values]
    low, high = zip(*(_bounds(value) for value in values), strict=True)
    reach = [np.subtract(heights, low), np.subtract(high, heights)]
    axis.errorbar(
        at, heights, np.maximum(reach, 0), fmt=marker.shape, color=marker.colour, markersize=marker.size,
        label=marker.label, markeredgecolor=CARD, elinewidth=1.4, capsize=3, zorder=4,
    )  # fmt: skip


def _bounds(value: Estimate) -> tuple[float, float]:
    return (value.value if value.low is None else value.low, value.value if value.high is None else value.high)
