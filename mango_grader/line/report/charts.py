"""Small charts as inline SVG in the page's own colours, each for wide and for narrow screens."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

from mango_grader.text import one_line

Scale = Callable[[float], float]

_SIZES = (("broad", 1000, 190), ("narrow", 340, 190))  # class, width, height in units of text size 11
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 8, 8, 34


@dataclass(frozen=True)
class Series:
    """One line of a chart, or one part of its bars.

    Attributes:
        name: for the legend.
        values: one for each place.
        colour: a colour of CSS.
    """

    name: str
    values: Sequence[float]
    colour: str


@dataclass(frozen=True)
class Chart:
    """A chart over time.

    Attributes:
        times: seconds, increasing: the left edges of bars, or the places of a line's points.
        series: parts of the bars, stacked, or lines.
        x: name of the horizontal axis, without its unit.
        y: name of the vertical axis.
        step: width of a bar in seconds; None draws lines.
        limit: value at which a dashed line is drawn; None draws none.
        top: a value that the vertical axis reaches at least.
    """

    times: Sequence[float]
    series: Sequence[Series]
    x: str
    y: str
    step: float | None = None
    limit: float | None = None
    top: float = 0.0

    def svg(self) -> str:
        """Return the chart as HTML; it says in words what it shows, for those who cannot see it."""
        return "".join(self._drawn(*size) for size in _SIZES)

    @property
    def _highest(self) -> float:
        stacked = [sum(values) for values in zip(*(one.values for one in self.series), strict=True)]
        lines = [value for one in self.series for value in one.values if math.isfinite(value)]
        return max(stacked if self.step is not None else lines, default=0.0)

    def _drawn(self, kind: str, width: int, height: int) -> str:
        first = self.times[0]
        last = max(self.times[-1] + (self.step or 0.0), first + 1e-9)
        unit, seconds = time_unit(last - first)
        top = max(self._highest, self.limit or 0.0, self.top) or 1.0
        ticks = ticks_up_to(top, 4)

        def across(time: float) -> float:
            return _LEFT + (time - first) / (last - first) * (width - _LEFT - _RIGHT)

        def down(value: float) -> float:
            return height - _BOTTOM - value / top * (height - _TOP - _BOTTOM)

        parts = [
            f'<path d="M{_LEFT} {down(tick):.1f}H{width - _RIGHT}" stroke="var(--line)"/>'
            f'<text x="{_LEFT - 6}" y="{down(tick) + 4:.1f}" text-anchor="end">{tick:g}</text>'
            for tick in ticks
        ]
        floor = height - _BOTTOM + 14
        parts += [
            f'<text x="{across(first + tick * seconds):.1f}" y="{floor}" text-anchor="middle">{tick:g}</text>'
            for tick in ticks_up_to((last - first) / seconds, 8 if kind == "broad" else 4)
        ]
        parts.append(f'<text x="{width - _RIGHT}" y="{height - 4}" text-anchor="end">{escape(self.x)}, {unit}</text>')
        parts.append(f'<text x="0" y="{height - 4}">{escape(self.y)}</text>')
        parts += self._bars(across, down) if self.step is not None else self._lines(across, down)
        if self.limit is not None:
            parts.append(f'<path d="M{_LEFT} {down(self.limit):.1f}H{width - _RIGHT}" stroke="var(--warn)" '
                         'stroke-dasharray="5 4"/>')  # fmt: skip
        label = escape(one_line(f"{self.y}, at most {self._highest:.3g}"), quote=True)
        return (f'<svg class="plot {kind}" viewBox="0 0 {width} {height}" role="img" aria-label="{label}" '
                f'font-size="11" fill="var(--soft)">{"".join(parts)}</svg>')  # fmt: skip

    def _bars(self, across: Scale, down: Scale) -> list[str]:
        below = [0.0] * len(self.times)
        parts = []
        assert self.step is not None
        for one in self.series:
            for place, (time, value) in enumerate(zip(self.times, one.values, strict=True)):
                if value > 0:
                    low, high = down(below[place]), down(below[place] + value)
                    left, right = across(time), across(time + self.step)
                    gap = min(1.0, 0.2 * (right - left))
                    parts.append(f'<rect x="{left:.1f}" y="{high:.1f}" width="{right - left - gap:.1f}" '
                                 f'height="{low - high:.1f}" fill="{one.colour}"/>')  # fmt: skip
                below[place] += value
        return parts

    def _lines(self, across: Scale, down: Scale) -> list[str]:
        parts = []
        for one in self.series:
            known = [(t, v) for t, v in zip(self.times, one.values, strict=True) if math.isfinite(v)]
            points = " ".join(f"{across(time):.1f},{down(value):.1f}" for time, value in known)
            parts.append(f'<polyline points="{points}" fill="none" stroke="{one.colour}" stroke-width="1.8"/>')
        return parts


def time_unit(seconds: float) -> tuple[str, float]:
    """Return the unit that suits a time, and its length in seconds.

    Example:
        >>> time_unit(95), time_unit(7200)
        (('seconds', 1.0), ('minutes', 60.0))
    """
    if seconds < 240:
        return "seconds", 1.0
    return ("minutes", 60.0) if seconds < 4 * 3600 else ("hours", 3600.0)


def ticks_up_to(top: float, most: int) -> list[float]:
    """Return round numbers from 0 to at most a value.

    Args:
        top: the value, above 0.
        most: number of steps between them.

    Example:
        >>> ticks_up_to(37, 4)
        [0.0, 10.0, 20.0, 30.0]
    """
    raw = top / most
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(one * power for one in (1, 2, 5, 10) if one * power >= raw * 0.999)
    return [round(n * step, 10) for n in range(int(top / step + 1e-9) + 1)]
