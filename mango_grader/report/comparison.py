"""The page of a comparison: accuracy and cost of every entry, and which differences are more than chance."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from mango_grader.files import write_text
from mango_grader.progress import format_seconds
from mango_grader.report import formatting
from mango_grader.report.charts import (
    CARD,
    LINE,
    SERIES,
    SOFT,
    amounts,
    chart,
    figure_of,
    is_narrow,
    name_rows,
    percent,
)
from mango_grader.report.formatting import shortened
from mango_grader.text import counted
from mango_grader.training.ranking import PairedDifference, RankedEntry

_LATE, _FEW = 1.1, 3

# Colour, then line and mark: with five colours, twenty entries can be told apart.
_LINES, _MARKS = ("-", (0, (5, 2)), (0, (1, 1.5)), (0, (6, 2, 1, 2))), ("o", "s", "^", "D")
_WIDE, _HALF = 12.0, 5.7


@dataclass(frozen=True, kw_only=True)
class ComparisonData:
    """The content of a comparison's page.

    Attributes:
        title: a name for the comparison.
        ranking: its entries, the best on validation images first.
        asked: how many runs of each entry were asked for.
        budget: seconds that each run may take; None without a budget.
        failures: by run, why it failed.
        settings: what was asked for, nested as it is.
        provenance: what identifies the comparison: version, hardware, ….
    """

    title: str
    ranking: tuple[RankedEntry, ...]
    asked: int
    budget: float | None = None
    failures: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)


def write_comparison(path: str | os.PathLike[str], data: ComparisonData) -> None:
    """Write the page of a comparison as an HTML file, whole or not at all.

    Args:
        path: the file to write; one that is there already is replaced.
        data: the content of the page.
    """
    write_text(path, render_comparison(data))


def render_comparison(data: ComparisonData) -> str:
    """Return the page as HTML: images and styles are inline, and nothing is loaded."""
    return formatting.render(
        "comparison.html",
        autoescape=True,
        data=data,
        warnings=comparison_warnings(data),
        curves=_curves(data.ranking) if data.ranking else None,
        to_best=_differences([(each.name, each.to_best) for each in data.ranking]),
        to_random=_differences([(each.name, each.to_random) for each in data.ranking]),
        duration=format_seconds,
    )


def comparison_warnings(data: ComparisonData) -> tuple[str, ...]:
    """Return which runs failed, and what to know before trusting the others, one line each."""
    return tuple(_warnings(data))


def _warnings(data: ComparisonData) -> Iterator[str]:
    yield from (f"{name} failed: {reason}" for name, reason in data.failures.items())
    for each in data.ranking:
        if each.guessing is not None and each.guessing.verdict == "guessing":
            yield f"{each.name}: {each.guessing}"
        if each.unmoved:
            found = "what it found is no more than chance gives"
            yield f"{each.name}: {each.unmoved} of {counted(each.runs, 'search', 'searches')} did not move: {found}."
        if each.runs < data.asked:
            yield f"{each.name}: only {each.runs} of {counted(data.asked, 'run')} finished."
        if data.budget and each.whole_s and each.whole_s.mean > _LATE * data.budget:
            spent, given = format_seconds(each.whole_s.mean), format_seconds(data.budget)
            yield f"{each.name} took {spent} per run on average, more than the budget of {given}."
    if data.budget is None:
        yield "No budget was given: each run took as long as its preset needs, so entries do not cost equal time."
    if data.asked < _FEW:
        said = counted(data.asked, "run per entry says", "runs per entry say")
        yield f"{said} little about the variation between seeds."


def _curves(ranking: Sequence[RankedEntry]) -> str:
    """Draw each entry's accuracy at each exit against its multiply-adds, means over runs, bars of one deviation."""

    def draw(axes: list[Axes]) -> None:
        (axis,) = axes
        for place, each in enumerate(ranking):
            row, hue = divmod(place, len(SERIES))
            axis.errorbar(
                [found.macs.mean for found in each.exits],
                [found.accuracy.mean for found in each.exits],
                [found.accuracy.sd or 0.0 for found in each.exits],
                color=SERIES[hue],
                linestyle=_LINES[row % len(_LINES)],
                marker=_MARKS[row % len(_MARKS)],
                markeredgecolor=CARD,
                markersize=7,
                elinewidth=0.9,
                capsize=2.5,
                label=shortened(each.name, 34),
            )
        amounts(axis, [found.macs.mean for each in ranking for found in each.exits])
        axis.yaxis.set_major_formatter(percent())
        axis.set(xlabel="work per image (multiply-adds)", ylabel="accuracy")
        if is_narrow(axis):
            figure_of(axis).legend(loc="outside lower left")
        else:
            axis.legend(loc="center left", bbox_to_anchor=(1.01, 0.5))

    names = 0.26 * len(ranking)
    return chart(draw, _WIDE, max(4.6, 0.8 + names), narrow_height=3.6 + names)


def _differences(rows: Sequence[tuple[str, PairedDifference | None]]) -> str | None:
    """Draw each entry's difference from another one, in percentage points with 95 % intervals; None without any."""
    known = [(name, pair) for name, pair in rows if pair is not None]
    if not known:
        return None

    def draw(axes: list[Axes]) -> None:
        (axis,) = axes
        places = np.arange(len(known))[::-1]
        axis.axvline(0, color=SOFT, linewidth=1)
        for place, (_, pair) in zip(places, known, strict=True):
            gap = pair.difference
            axis.hlines(place, -1, 1, color=LINE, linewidth=0.6, transform=axis.get_yaxis_transform())
            if gap.low is not None and gap.high is not None:
                axis.plot([100 * gap.low, 100 * gap.high], [place, place], color=SERIES[0], linewidth=5, alpha=0.3)
            axis.plot([100 * gap.value], [place], "o", color=SERIES[0], markersize=8)
        name_rows(axis, places, [name for name, _ in known])
        axis.set(ylim=(-0.6, len(known) - 0.3), xlabel="percentage points, with 95 % interval")
        axis.grid(visible=False, axis="y")
        axis.spines["left"].set_visible(False)

    return chart(draw, _HALF, max(1.7, 0.85 + 0.36 * len(known)), narrow_height=0.95 + 0.5 * len(known))
