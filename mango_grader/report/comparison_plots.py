"""The charts of a comparison: accuracy against cost, and differences with their intervals."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import EngFormatter, LogLocator, NullFormatter

from mango_grader.report.figures import CARD, INK, LINE, SERIES, SOFT, percent, svg
from mango_grader.report.standing import Against, Standing
from mango_grader.report.text import shortened

# Colour, then line and mark: with five colours, twenty entries can be told apart.
_LINES, _MARKS = ("-", (0, (5, 2)), (0, (1, 1.5)), (0, (6, 2, 1, 2))), ("o", "s", "^", "D")
_WIDE, _HALF = 12.0, 5.7
_LOGARITHMIC = 8


def curves(standings: Sequence[Standing]) -> str:
    """Draw each entry's accuracy at each exit against its multiply-adds, means over runs, bars of one deviation."""

    def draw(axes: list[Axes]) -> None:
        (axis,) = axes
        for place, each in enumerate(standings):
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
        spent = [found.macs.mean for each in standings for found in each.exits]
        if max(spent) > _LOGARITHMIC * min(spent):
            axis.set_xscale("log")
            axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axis.xaxis.set_minor_formatter(NullFormatter())
        else:
            axis.set_xlim(0, 1.08 * max(spent))
        axis.xaxis.set_major_formatter(EngFormatter(sep="\N{THIN SPACE}"))
        axis.yaxis.set_major_formatter(percent())
        axis.set(xlabel="multiply-adds per image", ylabel="accuracy")
        axis.legend(loc="center left", bbox_to_anchor=(1.01, 0.5))

    return svg(draw, _WIDE, max(4.6, 0.8 + 0.26 * len(standings)))


def differences(rows: Sequence[tuple[str, Against | None]]) -> str | None:
    """Draw each entry's difference to its rival with its 95 % interval, in points; None where there is none."""
    known = [(name, against) for name, against in rows if against is not None]
    if not known:
        return None

    def draw(axes: list[Axes]) -> None:
        (axis,) = axes
        places = np.arange(len(known))[::-1]
        axis.axvline(0, color=SOFT, linewidth=1)
        for place, (_, against) in zip(places, known, strict=True):
            gap = against.difference
            axis.hlines(place, -1, 1, color=LINE, linewidth=0.6, transform=axis.get_yaxis_transform())
            if gap.low is not None and gap.high is not None:
                axis.plot([100 * gap.low, 100 * gap.high], [place, place], color=SERIES[0], linewidth=5, alpha=0.3)
            axis.plot([100 * gap.value], [place], "o", color=SERIES[0], markersize=8)
        axis.set_yticks(places, [shortened(name, 26) for name, _ in known])
        axis.tick_params(axis="y", length=0, labelcolor=INK)
        axis.set(ylim=(-0.6, len(known) - 0.4), xlabel="points of accuracy, with 95 % interval")
        axis.grid(visible=False, axis="y")
        axis.spines["left"].set_visible(False)

    return svg(draw, _HALF, max(1.7, 0.85 + 0.36 * len(known)))
