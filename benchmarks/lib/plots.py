"""What the plots of several benchmarks share."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from PIL import Image


def save_plot(figure: Figure, path: Path, dpi: int) -> None:
    """Write a plot as a PNG file of at most 128 colours, which is a third of the size of one with all of them."""
    drawn = io.BytesIO()
    figure.savefig(drawn, dpi=dpi, format="png")
    Image.open(drawn).convert("RGB").quantize(128, dither=Image.Dither.NONE).save(path, optimize=True)


def draw_intervals(names: Sequence[str], found: Sequence[Mapping[str, Any]], label: str, path: Path) -> None:
    """Draw a line for each name from the top: its value with low and high, and a bar at validation where there is one.

    Values are shares, drawn as points; `label` says what they are.
    """
    figure = Figure(figsize=(9, 1.2 + 0.3 * len(names)), layout="constrained")
    axis = figure.subplots()
    for place, shares in enumerate(reversed(found)):
        each = {key: 100 * shares[key] for key in ("value", "low", "high")}
        reach = [[each["value"] - each["low"]], [each["high"] - each["value"]]]
        axis.errorbar(each["value"], place, xerr=reach, fmt="o", color="C0")
        if "validation" in shares:
            axis.plot(100 * shares["validation"], place, marker="|", ms=12, mew=2, color="C1")
    if any(shares["low"] <= 0 for shares in found):
        axis.axvline(0, color="0.5", zorder=0)
    axis.set_yticks(range(len(names)), names[::-1])
    figure.supxlabel(label, fontsize=10)
    axis.grid(axis="x", alpha=0.3)
    save_plot(figure, path, dpi=110)
