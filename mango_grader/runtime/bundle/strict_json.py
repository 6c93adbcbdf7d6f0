"""Reads untrusted JSON strictly: each value by exact type and range, and none is converted."""

import json
import math
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mango_grader.errors import BundleError
from mango_grader.text import NEVER_SHOWN, is_printable

_DEEPEST = 20
_MOST_DIGITS = 40
_IN_PROSE = "\n\t"


@dataclass(frozen=True)
class Checked:
    """A JSON value that is not trusted; each method returns it as one type, or raises `BundleError` with its place.

    Attributes:
        value: as the JSON parser returns it.
        place: of the value in its file, such as "manifest.json.exits[0]".
    """

    value: Any
    place: str

    def text(self, longest: int = 1000) -> str:
        """Return a printable string of 1 to `longest` characters that are not all blanks."""
        if isinstance(self.value, str) and len(self.value) <= longest and is_printable(self.value):
            return self.value
        raise self._not(f"a printable string of at most {longest} characters")

    def integer(self, least: int, most: int) -> int:
        """Return a whole number in `least`..`most`."""
        if type(self.value) is int and least <= self.value <= most:
            return self.value
        raise self._not(f"a whole number from {least} to {most}")

    def number(self, least: float, most: float) -> float:
        """Return a number in `least`..`most`."""
        if type(self.value) in (int, float) and least <= self.value <= most:
            return float(self.value)
        raise self._not(f"a number from {least:g} to {most:g}")

    def flag(self) -> bool:
        """Return true or false."""
        if isinstance(self.value, bool):
            return self.value
        raise self._not("true or false")

    def items(self, fewest: int, most: int) -> "list[Checked]":
        """Return the items of a list of `fewest` to `most`."""
        if isinstance(self.value, list) and fewest <= len(self.value) <= most:
            return [Checked(one, f"{self.place}[{index}]") for index, one in enumerate(self.value)]
        raise self._not(f"a list of {fewest} to {most} items")

    def table(self) -> "dict[str, Checked]":
        """Return the members of an object."""
        if isinstance(self.value, dict):
            return {key: Checked(one, f"{self.place}.{_shown_key(key)}") for key, one in self.value.items()}
        raise self._not("an object")

    def fields(self, *names: str) -> "dict[str, Checked]":
        """Return the members of an object that has exactly `names`."""
        table = self.table()
        if missing := [name for name in names if name not in table]:
            raise BundleError(f"{self.place} lacks {', '.join(missing)}")
        if unknown := [_shown_key(name) for name in table if name not in names]:
            raise BundleError(f"{self.place} has unknown members: {', '.join(unknown[:3])}")
        return table

    def _not(self, wanted: str) -> BundleError:
        return BundleError(f"{self.place} must be {wanted}, not {_shown(self.value)}")


def parse_json(data: bytes, place: str) -> Checked:
    """Read JSON in UTF-8.

    Args:
        data: the whole file.
        place: its name, for messages.

    Raises:
        BundleError: for anything else, and for numbers that are not finite or have more than 40 digits, members that
            repeat, more than 20 levels, and characters that are never shown.
    """
    try:
        value = json.loads(
            data.decode(),
            parse_int=_integer,
            parse_float=_finite,
            parse_constant=_constant,
            object_pairs_hook=_members,
        )
        _check_inside(value, 1)
    except RecursionError:
        raise BundleError(f"{place} cannot be read: it is nested too deeply") from None
    except ValueError as error:
        reason = " ".join(str(error).split()).encode("ascii", "backslashreplace").decode()[:200]
        raise BundleError(f"{place} cannot be read: {reason}") from error
    return Checked(value, place)


def _integer(digits: str) -> int:
    if len(digits) > _MOST_DIGITS:
        raise ValueError(f"a number of {len(digits)} digits")
    return int(digits)


def _finite(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise ValueError("a number that is not finite")
    return value


def _constant(name: str) -> float:
    raise ValueError(f"{name} is not a JSON number")


def _members(pairs: list[tuple[str, Any]]) -> Mapping[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member repeats")
    return members


def _check_inside(value: Any, level: int) -> None:
    if level > _DEEPEST:
        raise ValueError("it is nested too deeply")
    if isinstance(value, str):
        if any(unicodedata.category(one) in NEVER_SHOWN for one in value if one not in _IN_PROSE):
            raise ValueError(f"a control character or lone surrogate in {_shown(value)}")
    elif isinstance(value, list):
        for one in value:
            _check_inside(one, level + 1)
    elif isinstance(value, dict):
        for key, one in value.items():
            _check_inside(key, level + 1)
            _check_inside(one, level + 1)


def _shown(value: Any) -> str:
    if isinstance(value, dict | list):
        return f"{'an object' if isinstance(value, dict) else 'a list'} of {len(value)}"
    return json.dumps(value)[:60]


def _shown_key(key: str) -> str:
    return json.dumps(key)[1:-1][:60]
