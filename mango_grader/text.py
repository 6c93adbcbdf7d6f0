"""Text for people: a number with its noun, the first names of a list, and file names and messages made safe to show."""

import re
import unicodedata
from collections.abc import Sequence

NEVER_SHOWN = {"Cc", "Cs", "Zl", "Zp"}
"""Unicode categories of control characters, lone surrogates, line and paragraph separators."""


def counted(count: int, noun: str, plural: str | None = None) -> str:
    """Return `count` with `noun`, which takes an s where `plural` is None: "1 group", "2 entries", "1,234 groups"."""
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"


def about(names: Sequence[str], noun: str, what: str) -> str:
    """Return a line about things by name: "12 images without a label: a, b, c, …"."""
    return f"{counted(len(names), noun)} {what}: {listed(names)}"


def listed(names: Sequence[str], most: int = 3) -> str:
    """Return the first names with commas between, and "…" where there are more."""
    return ", ".join([*names[:most], *(["…"] if len(names) > most else [])])


def printable_path(path: str) -> str:
    r"""Return `path` as valid Unicode: bytes of a file name that are not UTF-8 are written as \xff."""
    return re.sub("[\ud800-\udfff]", _escape, path)


def one_line(text: str) -> str:
    """Return `text` as valid Unicode without control characters (they become escapes), to be shown in a table."""
    text = printable_path(text)
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text)


def is_printable(text: str) -> bool:
    """Say whether `text` shows something, on one line, and holds no control character or lone surrogate."""
    return bool(text.strip()) and not any(unicodedata.category(one) in NEVER_SHOWN for one in text)


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    # How Python's file system encoding keeps a byte: 0xdc00 + byte.
    return f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else f"\\u{code:04x}"
