"""The result of grading one image, and the row that it becomes in every output format."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self


@dataclass(frozen=True)
class Record:
    """What became of one image: a grade with its evidence, or an `error` that says why there is none.

    `path` is "" for an image that was not given as a path; `probabilities` follow the model's class order;
    `exit` counts from 1; the times are milliseconds, inference as this image's share of its batch. `warning` says
    why a graded image may not show what it should, such as an image of one colour.
    """

    path: str
    grade: str | None
    probabilities: tuple[float, ...] | None
    confidence: float | None
    exit: int | None
    decode_ms: float
    infer_ms: float
    error: str | None
    warning: str | None = None

    def to_review(self, below: float | None) -> bool | None:
        """Return whether a person should look at the grade, which is less sure than `below`.

        None without a grade, and where `below` is None, as nobody asked.
        """
        return None if below is None or self.confidence is None else self.confidence < below

    @classmethod
    def failed(cls, path: str, error: str, decode_ms: float, infer_ms: float = 0.0) -> Self:
        """Return the record of an image that got no grade."""
        return cls(path, None, None, None, None, decode_ms, infer_ms, error)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values, nothing rounded."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Rebuild from `to_dict`, of earlier versions too; raise `KeyError` or `TypeError` for anything else."""
        numbers = values["probabilities"]
        return cls(**{**values, "probabilities": None if numbers is None else tuple(numbers)})


def columns(classes: Sequence[str]) -> list[str]:
    """Return the column names of a result table for these classes."""
    return [
        "path", "grade", *(f"p_{name}" for name in classes), "confidence", "exit", "decode_ms", "infer_ms", "error",
        "review", "warning",
    ]  # fmt: skip


def is_result(titles: Collection[str]) -> bool:
    """Return whether a table with these column names is a result table of ours, columns that were deleted aside."""
    found = set(titles)
    numbered = any(title.startswith("p_") for title in titles)
    return {"path", "grade"} <= found and (numbered or {"confidence", "exit"} <= found)


def to_row(record: Record, classes: Sequence[str], review_below: float | None = None) -> dict[str, Any]:
    """Return one result row, in the order of `columns`; probabilities to 6 digits, times to the microsecond.

    `review` is true or false for grades, None where there is no grade or no `review_below`.
    """
    numbers = record.probabilities or (None,) * len(classes)
    return {
        "path": printable_path(record.path),
        "grade": record.grade,
        **{f"p_{name}": _rounded(value, 6) for name, value in zip(classes, numbers, strict=True)},
        "confidence": _rounded(record.confidence, 6),
        "exit": record.exit,
        "decode_ms": _rounded(record.decode_ms, 3),
        "infer_ms": _rounded(record.infer_ms, 3),
        "error": None if record.error is None else printable_path(record.error),
        "review": record.to_review(review_below),
        "warning": record.warning,
    }


def printable_path(path: str) -> str:
    r"""Return `path` as valid Unicode: bytes of a file name that are not UTF-8 are written as \xff."""
    return re.sub("[\ud800-\udfff]", _escape, path)


def one_line(text: str) -> str:
    """Return `text` as valid Unicode without control characters (they become escapes), to be shown in a table."""
    text = printable_path(text)
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text)


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    # How Python's file system encoding keeps a byte: 0xdc00 + byte.
    return f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else f"\\u{code:04x}"


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)
