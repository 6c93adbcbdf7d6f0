"""Ranges of settings: declared with the type, checked whenever settings are made, and printed with the settings.

Example:
    >>> @dataclass(frozen=True)
    ... class Recipe(Ranged):
    ...     epochs: Count = 60
    ...     dropout: BelowOne = 0.0
    >>> Recipe(epochs=-3)
    Traceback (most recent call last):
    mango_grader.ranges.RangeError: epochs must be 1 or more, not -3
"""

import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from mango_grader.errors import UsageError


@dataclass(frozen=True)
class Range:
    """A range of finite numbers below 1e30.

    Attributes:
        low: the least value.
        high: the greatest value; None if there is none.
        above: whether `low` itself is outside.
        below: whether `high` itself is outside.
    """

    low: float
    high: float | None = None
    above: bool = False
    below: bool = False

    def __contains__(self, value: object) -> bool:
        if not isinstance(value, int | float) or not _is_finite(value):
            return False
        enough = value > self.low if self.above else value >= self.low
        return enough and (self.high is None or (value < self.high if self.below else value <= self.high))

    def __str__(self) -> str:
        if self.high is None:
            return f"above {self.low:g}" if self.above else f"{self.low:g} or more"
        ends = ([f"above {self.low:g}"] if self.above else []) + ([f"below {self.high:g}"] if self.below else [])
        return ", ".join([f"{self.low:g}..{self.high:g}", *ends])


Count = Annotated[int, Range(1)]
"""A number of things, at least one."""
CountOrNone = Annotated[int, Range(0)]
"""A number of things, 0 for none."""
Positive = Annotated[float, Range(0, above=True)]
NotNegative = Annotated[float, Range(0)]
Share = Annotated[float, Range(0, 1)]
BelowOne = Annotated[float, Range(0, 1, below=True)]
"""A share that leaves something, or a probability below 1."""
Open = Annotated[float, Range(0, 1, above=True, below=True)]
"""A share strictly between 0 and 1."""
Seed = Annotated[int, Range(0)]
Pixels = Annotated[int, Range(1, 8192)]
"""Height or width of an image, in pixels."""
Channels = Annotated[int, Range(1, 16384)]
ChannelsOrNone = Annotated[int, Range(0, 16384)]
"""Width of a layer that may be left out; 0 leaves it out."""
Layers = Annotated[int, Range(1, 1000)]
"""Number of layers, blocks or cells, or the place of one of them, from 1."""
Nodes = Annotated[int, Range(1, 16)]
"""Number of nodes or levels of a searched cell or block; its candidates grow with the square of it."""
Kernel = Annotated[int, Range(1, 255)]
"""Height and width of a convolution's kernel."""
Stride = Annotated[int, Range(1, 64)]
BlockStride = Annotated[int, Range(1, 2)]
Dilation = Annotated[int, Range(1, 64)]
Expansion = Annotated[int, Range(1, 64)]
"""Factor by which a block widens its channels inside."""
Factor = Annotated[float, Range(0, 64, above=True)]


class RangeError(UsageError, ValueError):
    """A setting is outside its range.

    Args:
        name: of the setting.
        allowed: its range.
        value: of the setting.
    """

    def __init__(self, name: str, allowed: Range, value: object) -> None:
        shown = str(value)[:40]
        super().__init__(f"{name} must be {'in ' if allowed.high is not None else ''}{allowed}, not {shown}")
        self.name = name


class Ranged:
    """Base of dataclasses of settings; raises `RangeError` if one is made with a number outside its range."""

    def __post_init__(self) -> None:
        kind: type = type(self)
        for name, allowed in ranges_of(kind).items():
            value = getattr(self, name)
            for number in value if isinstance(value, tuple | list) else (value,):
                if allowed is not None and number is not None and number not in allowed:
                    raise RangeError(name, allowed, number)

    def ignored(self) -> Mapping[str, str]:
        """Return which settings have no effect beside the others as they are, by name, with the reason in words."""
        return {}


_LARGEST = 1e30  # torch overflows beyond it in single precision


def _is_finite(value: float) -> bool:
    return -_LARGEST < value < _LARGEST


@cache
def ranges_of(kind: type) -> dict[str, Range | None]:
    """Return the range of each field of a dataclass that holds numbers; None if none is declared."""
    hints = {name: hint for name, hint in get_type_hints(kind, include_extras=True).items() if name in _names(kind)}
    return {name: _range(hint) for name, hint in hints.items() if _is_numeric(hint)}


def allowed_values(settings: object) -> dict[str, str]:
    """Return the allowed values of each setting in words, by name; settings of a dataclass inside as "weights.lr"."""
    hints = get_type_hints(type(settings), include_extras=True)
    found: dict[str, str] = {}
    for name in _names(type(settings)):
        value = getattr(settings, name)
        if is_dataclass(value) and not isinstance(value, type):
            found |= {f"{name}.{inner}": words for inner, words in allowed_values(value).items()}
        else:
            found[name] = _words(hints[name])
    return found


def _names(kind: type) -> list[str]:
    return [field.name for field in fields(kind)]


def _parts(hint: Any) -> Iterator[Any]:
    """Yield the members of a union or the elements of a tuple, without None and the ellipsis."""
    if get_origin(hint) in (Union, types.UnionType, tuple):
        yield from (part for part in get_args(hint) if part not in (type(None), ...))


def _is_numeric(hint: Any) -> bool:
    if get_origin(hint) is Annotated:
        return _is_numeric(get_args(hint)[0])
    return hint in (int, float) or any(map(_is_numeric, _parts(hint)))


def _range(hint: Any) -> Range | None:
    if get_origin(hint) is Annotated:
        return next((each for each in get_args(hint)[1:] if isinstance(each, Range)), None)
    return next(filter(None, map(_range, _parts(hint))), None)


def _words(hint: Any) -> str:
    if get_origin(hint) is Annotated:
        return str(_range(hint) or _words(get_args(hint)[0]))
    if get_origin(hint) is Literal:
        return " | ".join(map(str, get_args(hint)))
    if hint is bool:
        return "true | false"
    words = next(filter(None, map(_words, _parts(hint))), "")
    if words and get_origin(hint) is tuple:
        return f"each {words}"
    return f"{words} | null" if words and type(None) in get_args(hint) else words
