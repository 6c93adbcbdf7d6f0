"""Charts as the page's own SVG."""

import re

import numpy as np
import pytest
from matplotlib.axes import Axes

from mango_grader.report.charts import Canvas, percent, svg


@pytest.mark.parametrize(("low", "high"), [(0.8, 0.98), (0.831, 0.839), (0.0, 1.0)])
def test_shares_label_their_ticks_truly(low: float, high: float) -> None:
    def draw(axes: list[Axes]) -> None:
        for axis, (bottom, top) in zip(axes, [(low, high), (0.0, 1.0)], strict=True):
            axis.plot([0, 1], [bottom, top])
            axis.yaxis.set_major_formatter(percent())
            axis.set_xticks([])
        axes[1].set_yticks([])

    labels = re.findall(r">(-?[\d.]+)\N{THIN SPACE}%<", svg(draw, Canvas(8.0, 4.0, panels=2)))
    ticks = np.array([float(label) for label in labels])
    assert len(ticks) >= 4
    assert np.diff(ticks) == pytest.approx(ticks[1] - ticks[0])  # rounding would make steps uneven
