"""matplotlib figures as inline SVG in the page's own colours and font, light or dark."""

import io
import re
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, LogLocator, MaxNLocator, NullFormatter, PercentFormatter
from numpy.typing import NDArray

from mango_grader.report.formatting import shortened

# Drawn in these, then replaced by the page's variables. Series: Okabe and Ito's colours, safe for the colour-blind.
_SENTINELS = {
    "ink": "#010203", "soft": "#010204", "line": "#010205", "card": "#010206",
    "series1": "#010207", "series2": "#010208", "series3": "#010209", "series4": "#01020a", "series5": "#01020b",
}  # fmt: skip
INK, SOFT, LINE, CARD = (_SENTINELS[name] for name in ("ink", "soft", "line", "card"))
SERIES = tuple(_SENTINELS[f"series{number}"] for number in range(1, 6))

Draw = Callable[[list[Axes]], None]

_NARROW = 4.1  # inches: 295 units of text size 10.5, shown on the 330 pixels that a phone's page leaves
_LOGARITHMIC = 8

_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none", "text.parse_math": False, "font.size": 10.5,
    "figure.facecolor": "none",
    "axes.facecolor": "none", "axes.edgecolor": LINE, "axes.labelcolor": SOFT, "axes.titlecolor": INK,
    "axes.titlesize": 11, "axes.titlelocation": "left", "axes.titlepad": 9, "axes.titleweight": "bold",
    "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "axes.axisbelow": True,
    "grid.color": LINE, "grid.linewidth": 0.8, "xtick.color": LINE, "ytick.color": LINE,
    "xtick.labelcolor": SOFT, "ytick.labelcolor": SOFT, "text.color": INK, "legend.frameon": False,
    "legend.labelcolor": INK, "lines.linewidth": 1.8, "lines.solid_capstyle": "round",
}  # fmt: skip


@dataclass(frozen=True)
class Canvas:
    """What a chart is drawn on.

    Attributes:
        width: of all panels together, in inches.
        height: of all panels together, in inches.
        panels: number of axes.
        stacked: whether the panels stand one below the other instead of side by side.
    """

    width: float
    height: float
    panels: int = 1
    stacked: bool = False


def percent() -> PercentFormatter:
    """Return a formatter for an axis of shares, with as many decimals as its ticks need.

    Each axis needs one of its own: the range of the axis decides on the decimals.
    """
    return PercentFormatter(1.0, symbol="\N{THIN SPACE}%")


def chart(draw: Draw, width: float, height: float, panels: int = 1, narrow_height: float | None = None) -> str:
    """Return a drawing as two <svg> elements, for wide screens and for phones; the page shows the one that fits.

    On phones the panels stand one below the other, and the chart is as wide as they show without shrinking its text.

    Args:
        draw: draws on the axes of all panels.
        width: on wide screens, in inches.
        height: on wide screens, in inches.
        panels: number of axes.
        narrow_height: height of each panel on phones, in inches; as on wide screens if None.
    """
    broad = Canvas(width, height, panels)
    narrow = Canvas(_NARROW, (narrow_height or height) * panels, panels, stacked=True)
    return svg(draw, broad, "plot broad") + svg(draw, narrow, "plot narrow")


def svg(draw: Draw, canvas: Canvas, kind: str = "plot") -> str:
    """Return a drawing as an <svg> element.

    Args:
        draw: draws on the axes of all panels.
        canvas: its size and panels.
        kind: class of the element.
    """
    with mpl.rc_context({**_STYLE, "svg.hashsalt": f"mango-grader {kind}"}), warnings.catch_warnings():
        # The page's reader draws the letters, not matplotlib, whose own font lacks some.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure = Figure(figsize=(canvas.width, canvas.height), layout="constrained")
        rows, columns = (canvas.panels, 1) if canvas.stacked else (1, canvas.panels)
        axes = figure.subplots(rows, columns, squeeze=False)
        draw(list(axes.flat))
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
    return _for_the_page(buffer.getvalue(), kind)


def is_narrow(axis: Axes) -> bool:
    """Return whether `axis` is drawn for a phone."""
    return figure_of(axis).get_figwidth() <= _NARROW


def figure_of(axis: Axes) -> Figure:
    """Return the figure that `axis` is on."""
    figure = axis.get_figure()
    assert isinstance(figure, Figure)
    return figure


def name_rows(axis: Axes, places: NDArray[np.integer], names: Sequence[str]) -> None:
    """Name the rows of a chart: left of the axis, or on phones above each row.

    Args:
        axis: of the rows.
        places: (N,), height of each row.
        names: N names.
    """
    if is_narrow(axis):
        axis.set_yticks([])
        for place, name in zip(places, names, strict=True):
            line = shortened(name, 40)
            axis.annotate(line, (0, place), (0, 8), xycoords=axis.get_yaxis_transform(), textcoords="offset points")
    else:
        axis.set_yticks(places, [shortened(name, 31) for name in names])
        axis.tick_params(axis="y", length=0, labelcolor=INK)


def amounts(axis: Axes, values: Sequence[float]) -> None:
    """Scale an x axis of amounts: from 0, or logarithmic if the largest amount is more than 8 times the smallest.

    Args:
        axis: to scale.
        values: the amounts that it shows.
    """
    if max(values) > _LOGARITHMIC * min(values):
        axis.set_xscale("log")
        axis.xaxis.set_major_locator(LogLocator(subs=(1, 3) if is_narrow(axis) else (1, 2, 5)))
        axis.xaxis.set_minor_formatter(NullFormatter())
    else:
        axis.set_xlim(0, 1.12 * max(*values, 1))
        axis.xaxis.set_major_locator(MaxNLocator(4 if is_narrow(axis) else 8))
    axis.xaxis.set_major_formatter(EngFormatter(sep="\N{THIN SPACE}"))


def _for_the_page(text: str, kind: str) -> str:
    """Return the <svg> element alone: no fixed size, no namespaces (HTML needs none), the page's font and colours."""
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", text, flags=re.DOTALL)
    text = re.sub(r'\s(xmlns(:\w+)?|version)="[^"]*"', "", text)
    text = re.sub(r'(<svg[^>]*?) width="[^"]*" height="[^"]*"', rf'\1 class="{kind}"', text, count=1)
    text = re.sub(r"font-family:[^;\"]*;?", "", text)
    text = re.sub(r'(<g) id="[^"]*"', r"\1", text)  # the same in every figure, so not unique on the page
    for name, colour in _SENTINELS.items():
        text = text.replace(colour, f"var(--{name})")
    return text
