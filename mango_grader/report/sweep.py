"""The page of a sweep: every entry on every data set within every limit."""

import os
from collections.abc import Mapping
from dataclasses import dataclass

from matplotlib.axes import Axes

from mango_grader.files import write_text
from mango_grader.report import formatting
from mango_grader.report.charts import CARD, SERIES, chart, figure_of, is_narrow, percent
from mango_grader.report.comparison import ComparisonData, comparison_warnings
from mango_grader.report.formatting import shortened
from mango_grader.training.ranking import RankedEntry

_WIDE = 12.0


@dataclass(frozen=True)
class SweepData:
    """The content of a sweep's page.

    Attributes:
        title: a name for the sweep.
        cells: a comparison for each data set and limit, by name.
        links: of their own pages, relative to that of the sweep, by name.
    """

    title: str
    cells: Mapping[str, ComparisonData]
    links: Mapping[str, str]

    @property
    def entries(self) -> tuple[str, ...]:
        """Names of all entries, the best on validation in the mean of the cells first."""
        ranked = {each.name for cell in self.cells.values() for each in cell.ranking}
        return tuple(sorted(ranked, key=lambda name: (self.mean_rank(name), name)))

    @property
    def best(self) -> tuple[str, ...]:
        """The entries with the best mean place; several where they share it."""
        places = {entry: self.mean_rank(entry) for entry in self.entries}
        return tuple(entry for entry, place in places.items() if place == min(places.values()))

    @property
    def warnings(self) -> tuple[str, ...]:
        """The warnings of all cells; one that several have is said once, with their names."""
        cells: dict[str, list[str]] = {}
        for name, cell in self.cells.items():
            for line in comparison_warnings(cell):
                cells.setdefault(line, []).append(name)
        everywhere = list(self.cells)
        return tuple(line if named == everywhere else f"{', '.join(named)}: {line}" for line, named in cells.items())

    def of(self, entry: str, cell: str) -> RankedEntry | None:
        """Return an entry in a cell; None where none of its runs has finished.

        Args:
            entry: its name.
            cell: name of the cell.
        """
        return next((each for each in self.cells[cell].ranking if each.name == entry), None)

    def mean_rank(self, entry: str) -> float:
        """Return the mean place of an entry, by validation, in the cells where it has finished runs; 1 is best.

        Args:
            entry: its name.
        """
        names = [[each.name for each in cell.ranking] for cell in self.cells.values()]
        places = [ranked.index(entry) + 1 for ranked in names if entry in ranked]
        return sum(places) / len(places)


def write_sweep(path: str | os.PathLike[str], data: SweepData) -> None:
    """Write the page of a sweep as an HTML file, whole or not at all.

    Args:
        path: the file to write; one that is there already is replaced.
        data: the content of the page.
    """
    write_text(path, render_sweep(data))


def render_sweep(data: SweepData) -> str:
    """Return the page as HTML: images and styles are inline, and nothing is loaded."""
    return formatting.render(
        "sweep.html",
        autoescape=True,
        data=data,
        warnings=data.warnings,
        places=_places(data) if data.entries else None,
    )


def _places(data: SweepData) -> str:
    """Draw each entry's pooled test accuracy in each cell, with its interval over groups."""
    cells, entries = list(data.cells), data.entries

    def draw(axes: list[Axes]) -> None:
        (axis,) = axes
        for number, entry in enumerate(entries):
            label: str | None = shortened(entry, 34)
            for row, cell in enumerate(cells):
                found = data.of(entry, cell)
                if found is None:
                    continue
                at = len(cells) - 1 - row + 0.6 * (0.5 - (number + 0.5) / len(entries))
                colour, pooled = SERIES[number % len(SERIES)], found.pooled
                if pooled.low is not None and pooled.high is not None:
                    axis.plot([pooled.low, pooled.high], [at, at], color=colour, linewidth=3, alpha=0.35)
                axis.plot([pooled.value], [at], "o", color=colour, markeredgecolor=CARD, markersize=7, label=label)
                label = None
        axis.set_yticks(range(len(cells)), [shortened(cell, 30) for cell in reversed(cells)])
        axis.xaxis.set_major_formatter(percent())
        axis.set(xlabel="test accuracy of the last exit, with 95 % interval", ylim=(-0.6, len(cells) - 0.4))
        if is_narrow(axis):
            figure_of(axis).legend(loc="outside lower left")
        else:
            axis.legend(loc="center left", bbox_to_anchor=(1.01, 0.5))

    rows = 0.2 * len(entries) * len(cells)
    return chart(draw, _WIDE, max(3.0, 1.0 + rows), narrow_height=3.0 + rows + 0.26 * len(entries))
