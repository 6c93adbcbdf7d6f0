"""Text for people: a number with its noun, the first names of a list, and file names and messages made safe to show."""

import re
import unicodedata
from collections.abc import Sequence

_PART = re.compile(r"(\d+(?:\.\d+)?)([hms])")
_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0}

NEVER_SHOWN = {"Cc", "Cs", "Zl", "Zp"}
"""Unicode categories of control characters, lone surrogates, line and paragraph separators."""


def counted(count: int, noun: str, plural: str | None = None) -> str:
    """Return a number with its noun.

    Args:
        count: 0 or more.
        noun: in the singular.
        plural: of the noun; None adds an s.

    Example:
        >>> counted(1, "group"), counted(1234, "group"), counted(2, "entry", "entries")
        ('1 group', '1,234 groups', '2 entries')
    """
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"


def seconds_in(duration: str) -> float:
    """Return the seconds of a duration.

    Args:
        duration: numbers with h, m or s behind each.

    Raises:
        ValueError: it is written otherwise.

    Example:
        >>> seconds_in("1h30m"), seconds_in("90s")
        (5400.0, 90.0)
    """
    parts = _PART.findall(duration)
    if not parts or "".join(number + unit for number, unit in parts) != duration:
        raise ValueError(f"{duration!r} is not a duration; write, for example, 20m, 90s or 1h30m")
    return sum(float(number) * _SECONDS[unit] for number, unit in parts)


def about(names: Sequence[str], noun: str, what: str) -> str:
    """Return a line that counts things, says what they are, and names the first of them.

    Args:
        names: of all things.
        noun: for one of them, in the singular.
        what: said of them, after the noun.

    Example:
        >>> about(["a.jpg", "b.jpg", "c.jpg", "d.jpg"], "image", "without a label")
        '4 images without a label: a.jpg, b.jpg, c.jpg, …'
    """
    return f"{counted(len(names), noun)} {what}: {listed(names)}"


def listed(names: Sequence[str], most: int = 3) -> str:
    """Return the first names with commas between, and "…" if there are more.

    Args:
        names: of all.
        most: number of names to show.
    """
    return ", ".join([*names[:most], *(["…"] if len(names) > most else [])])


def natural_key(name: str) -> tuple[list[tuple[int, str]], str]:
    """Return what to sort names by so that numbers in them count as numbers.

    Args:
        name: to sort.

    Example:
        >>> sorted(["frame10.png", "frame9.png"], key=natural_key)
        ['frame9.png', 'frame10.png']
    """
    pieces = re.split(r"(\d+)", name.casefold())
    return [(int(piece), "") if piece.isdecimal() else (-1, piece) for piece in pieces], name


def printable_path(path: str) -> str:
    r"""Return `path` as valid Unicode: bytes of a file name that are not UTF-8 are written as \xff."""
    return re.sub("[\ud800-\udfff]", _escape, path)


def one_line(text: str) -> str:
    """Return `text` as valid Unicode for a table; control characters become escapes."""
    text = printable_path(text)
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text)


def is_printable(text: str) -> bool:
    """Return whether `text` is visible, on one line, and without control characters and lone surrogates."""
    return bool(text.strip()) and not any(unicodedata.category(one) in NEVER_SHOWN for one in text)


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    # How Python's file system encoding keeps a byte: 0xdc00 + byte.
    return f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else f"\\u{code:04x}"
