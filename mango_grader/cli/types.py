"""Option values with a form of their own."""

import re
from typing import Any

import click

from mango_grader.datasets import parse_fold
from mango_grader.errors import UsageError

_PART = re.compile(r"(\d+(?:\.\d+)?)([hms])")
_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0}


class Duration(click.ParamType[float]):
    """20m, 90s, 1h30m → seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return seconds; fails with a usage message."""
        if isinstance(value, float):
            return value
        parts = _PART.findall(value)
        if not parts or "".join(number + unit for number, unit in parts) != value:
            self.fail(f"{value!r} is no duration; write for example 20m, 90s or 1h30m", param, ctx)
        return sum(float(number) * _SECONDS[unit] for number, unit in parts)


class Fold(click.ParamType[tuple[int, int]]):
    """2/5 → (2, 5): the second of five folds."""

    name = "fold"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        """Return (K, N) with 1 ≤ K ≤ N, N ≥ 2; fails with a usage message."""
        if isinstance(value, tuple):
            return value
        try:
            return parse_fold(value)
        except UsageError as error:
            self.fail(str(error), param, ctx)


class Size(click.ParamType[tuple[int, int]]):
    """128 or 120x160 → (height, width) in pixels."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        """Return two numbers of at least 8; fails with a usage message."""
        if isinstance(value, tuple):
            return value
        numbers = value.lower().split("x")
        if len(numbers) > 2 or not all(number.isdigit() and int(number) >= 8 for number in numbers):
            self.fail(f"{value!r} is no size; write pixels (8 or more) or HxW, for example 128 or 120x160", param, ctx)
        return int(numbers[0]), int(numbers[-1])
