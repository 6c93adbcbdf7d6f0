"""The charts of a comparison: accuracy against cost, and differences with their intervals."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from mango_grader.report.figures import (
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
from mango_grader.report.standing import Against, Standing
from mango_grader.report.text import shortened

# Colour, then line and mark: with five colours, twenty entries can be told apart.
_LINES, _MARKS = ("-", (0, (5, 2)), (0, (1, 1.5)), (0, (6, 2, 1, 2))), ("o", "s", "^", "D")
_WIDE, _HALF = 12.0, 5.7


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
        amounts(axis, [found.macs.mean for each in standings for found in each.exits])
        axis.yaxis.set_major_formatter(percent())
        axis.set(xlabel="work per image (multiply-adds)", ylabel="accuracy")
        if is_narrow(axis):
            figure_of(axis).legend(loc="outside lower left")
        else:
            axis.legend(loc="center left", bbox_to_anchor=(1.01, 0.5))

    names = 0.26 * len(standings)
    return chart(draw, _WIDE, max(4.6, 0.8 + names), narrow_height=3.6 + names)


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
        name_rows(axis, places, [name for name, _ in known])
        axis.set(ylim=(-0.6, len(known) - 0.3), xlabel="points of accuracy, with 95 % interval")
        axis.grid(visible=False, axis="y")
        axis.spines["left"].set_visible(False)

    return chart(draw, _HALF, max(1.7, 0.85 + 0.36 * len(known)), narrow_height=0.95 + 0.5 * len(known))
