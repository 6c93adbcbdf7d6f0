"""The page of a comparison: who was how right at what cost, and which differences are more than chance."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from mango_grader import __version__
from mango_grader.files import write_text
from mango_grader.progress import format_seconds
from mango_grader.report import text
from mango_grader.report.comparison_plots import curves, differences
from mango_grader.report.standing import Standing
from mango_grader.report.templating import render
from mango_grader.text import counted

_LATE, _FEW = 1.1, 3


@dataclass(frozen=True, kw_only=True)
class ComparisonData:
    """A comparison's content.

    Fields:
        title: a name for it.
        standings: the best on validation first.
        asked: how many runs of each entry were asked for.
        budget: seconds that each run was given; None for none.
        failures: by run, why it failed.
        settings: what was asked for, nested as it is; provenance: what identifies it.
    """

    title: str
    standings: tuple[Standing, ...]
    asked: int
    budget: float | None = None
    failures: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)


def write_comparison(path: str | os.PathLike[str], data: ComparisonData) -> None:
    """Write the page of `data` to the HTML file `path`, atomically."""
    write_text(path, render_comparison(data))


def render_comparison(data: ComparisonData) -> str:
    """Return the page as HTML that loads nothing."""
    return render(
        "comparison.html",
        autoescape=True,
        data=data,
        version=__version__,
        warnings=comparison_warnings(data),
        curves=curves(data.standings) if data.standings else None,
        to_best=differences([(each.name, each.to_best) for each in data.standings]),
        to_random=differences([(each.name, each.to_random) for each in data.standings]),
        duration=format_seconds,
        settings=dict(text.flat(data.settings)),
        provenance=dict(text.flat(data.provenance)),
    )


def comparison_warnings(data: ComparisonData) -> tuple[str, ...]:
    """Return what failed, and what to know before trusting the rest, one line each."""
    return tuple(_warnings(data))


def _warnings(data: ComparisonData) -> Iterator[str]:
    yield from (f"{name} failed: {reason}" for name, reason in data.failures.items())
    for each in data.standings:
        if each.guessing is not None and each.guessing.verdict == "guessing":
            yield f"{each.name}: {each.guessing}"
        if each.runs < data.asked:
            yield f"{each.name} stands on {each.runs} of {counted(data.asked, 'run')}."
        if data.budget and each.whole_s and each.whole_s.mean > _LATE * data.budget:
            spent, given = format_seconds(each.whole_s.mean), format_seconds(data.budget)
            yield f"{each.name} took {spent} a run on average, more than the {given} that all were given."
    if data.budget is None:
        yield "No budget was given: every run took as long as its preset has it, so costs are not equal."
    if data.asked < _FEW:
        yield f"{counted(data.asked, 'run of each says', 'runs of each say')} little about the luck of a seed."
