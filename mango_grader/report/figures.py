"""matplotlib figures as inline SVG that takes the page's own colours and font, light or dark."""

import io
import re
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, LogLocator, MaxNLocator, NullFormatter, PercentFormatter
from numpy.typing import NDArray

from mango_grader.report.text import shortened

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


def percent() -> PercentFormatter:
    """Return what labels an axis of shares as the page writes them: as many decimals as tell its ticks apart.

    One for each axis, whose range decides on decimals.
    """
    return PercentFormatter(1.0, symbol="\N{THIN SPACE}%")


def chart(draw: Draw, width: float, height: float, panels: int = 1, narrow_height: float | None = None) -> str:
    """Return what `draw` puts on `panels` axes as two <svg> elements; the page's style shows the one that fits.

    The one for wide screens is `width` × `height` inches, its panels side by side. The one for phones is as wide as
    they show without shrinking its text, its panels one below the other, each `narrow_height` (or `height`) high.
    """
    narrow = _NARROW, (narrow_height or height) * panels
    return svg(draw, width, height, panels, "plot broad") + svg(draw, *narrow, panels, "plot narrow", below=True)


def svg(draw: Draw, width: float, height: float, panels: int = 1, kind: str = "plot", *, below: bool = False) -> str:
    """Return what `draw` puts on `panels` axes, `width` × `height` inches in all, as an <svg> element of class `kind`.

    The panels stand side by side, or one `below` the other.
    """
    with mpl.rc_context({**_STYLE, "svg.hashsalt": f"mango-grader {kind}"}), warnings.catch_warnings():
        # The page's reader draws the letters, not matplotlib, whose own font lacks some.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure = Figure(figsize=(width, height), layout="constrained")
        axes = figure.subplots(*((panels, 1) if below else (1, panels)), squeeze=False)
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
    """Name the rows at the heights `places`: left of the axis, or on a phone above each row, where there is room."""
    if is_narrow(axis):
        axis.set_yticks([])
        for place, name in zip(places, names, strict=True):
            line = shortened(name, 40)
            axis.annotate(line, (0, place), (0, 8), xycoords=axis.get_yaxis_transform(), textcoords="offset points")
    else:
        axis.set_yticks(places, [shortened(name, 31) for name in names])
        axis.tick_params(axis="y", length=0, labelcolor=INK)


def amounts(axis: Axes, values: Sequence[float]) -> None:
    """Let the x axis show counts from 0, or by octaves and decades where the largest of `values` dwarfs the least."""
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
