"""Class names: their order, whether they are grades, and spellings that are probably one class."""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable

__all__ = ["name_clashes", "order_classes", "plain_name"]


def order_classes(names: Iterable[str], ordinal: bool | None = None) -> tuple[tuple[str, ...], bool]:
    """Return the distinct names in grade order and whether they are ordinal grades.

    Letters from A on without a gap (A, B, C) and plain numbers (1, 2, 3; 0.5, 1.5) are grades unless `ordinal`
    is False; `ordinal` True makes grades of any names, in natural order ("grade 2" before "grade 10").
    """
    distinct = set(names)
    numbers = {name: number for name in distinct if (number := _number(name)) is not None}
    if len(numbers) == len(distinct):
        ordered = sorted(distinct, key=lambda name: (numbers[name], name))
        graded = len(set(numbers.values())) == len(distinct) > 1
    else:
        ordered = sorted(distinct, key=_natural)
        graded = len(ordered) > 1 and "".join(ordered).upper() == "ABCDEFGHIJKLMNOPQRSTUVWXYZ"[: len(ordered)]
    return tuple(ordered), graded if ordinal is None else ordinal


def plain_name(name: str) -> str:
    """Return a name without case, and without the blanks, hyphens and underscores between its words; "A-" keeps its."""
    return re.sub(r"(?<=\w)[\s_-]+(?=\w)", "", unicodedata.normalize("NFKC", name).strip()).casefold()


def name_clashes(names: Iterable[str]) -> list[str]:
    """Return one finding for each set of names that are probably one class: spelled alike, or equal as numbers."""
    alike = defaultdict[tuple[str, str | float], list[str]](list)
    for name in names:
        number = _number(name.replace(",", "."))
        if number is None:
            alike["differ only in case, blanks, hyphens or underscores", plain_name(name)].append(name)
        else:
            alike["are equal as numbers", number].append(name)
    return [
        f"class names {how}: {', '.join(map(repr, sorted(spellings)))}"
        for (how, _), spellings in alike.items()
        if len(spellings) > 1
    ]


def _number(name: str) -> float | None:
    return float(name) if re.fullmatch(r"\s*[+-]?\d+(\.\d+)?\s*", name, re.ASCII) else None


def _natural(name: str) -> tuple[list[tuple[int, str]], str]:
    pieces = re.split(r"(\d+)", name.casefold())
    return [(int(piece), "") if piece.isdecimal() else (-1, piece) for piece in pieces], name
