"""matplotlib figures as inline SVG that takes the page's own colours and font, light or dark."""

import io
import re
import warnings
from collections.abc import Callable
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

# Drawn in these, then replaced by the page's variables. Series: Okabe and Ito's colours, safe for the colour-blind.
_SENTINELS = {
    "ink": "#010203", "soft": "#010204", "line": "#010205", "card": "#010206",
    "series1": "#010207", "series2": "#010208", "series3": "#010209", "series4": "#01020a", "series5": "#01020b",
}  # fmt: skip
INK, SOFT, LINE, CARD = (_SENTINELS[name] for name in ("ink", "soft", "line", "card"))
SERIES = tuple(_SENTINELS[f"series{number}"] for number in range(1, 6))

_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none", "text.parse_math": False, "svg.hashsalt": "mango-grader", "font.size": 10.5,
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


def svg(draw: Callable[[list[Axes]], None], width: float, height: float, panels: int = 1) -> str:
    """Return what `draw` puts on `panels` axes side by side, `width` × `height` inches in all, as an <svg> element."""
    with mpl.rc_context(_STYLE), warnings.catch_warnings():
        # The page's reader draws the letters, not matplotlib, whose own font lacks some.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure = Figure(figsize=(width, height), layout="constrained")
        draw(list(figure.subplots(1, panels, squeeze=False)[0]))
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
    return _for_the_page(buffer.getvalue())


def _for_the_page(text: str) -> str:
    """Return the <svg> element alone: no fixed size, no namespaces (HTML needs none), the page's font and colours."""
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", text, flags=re.DOTALL)
    text = re.sub(r'\s(xmlns(:\w+)?|version)="[^"]*"', "", text)
    text = re.sub(r'(<svg[^>]*?) width="[^"]*" height="[^"]*"', r'\1 class="plot"', text, count=1)
    text = re.sub(r"font-family:[^;\"]*;?", "", text)
    text = re.sub(r'(<g) id="[^"]*"', r"\1", text)  # the same in every figure, so not unique on the page
    for name, colour in _SENTINELS.items():
        text = text.replace(colour, f"var(--{name})")
    return text
