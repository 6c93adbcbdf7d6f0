"""The result of grading one image, and the row that it becomes in every output format."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from mango_grader.text import printable_path


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


@dataclass
class Summary:
    """Running counts over records."""

    images: int = 0
    errors: int = 0
    review: int = 0
    warnings: int = 0
    grades: dict[str, int] = field(default_factory=dict)
    exits: dict[int, int] = field(default_factory=dict)
    decode_ms: float = 0.0
    infer_ms: float = 0.0

    @classmethod
    def of(cls, records: Iterable[Record], review_below: float | None = None) -> "Summary":
        """Count `records`; a grade less sure than `review_below` is one to review."""
        summary = cls()
        for record in records:
            summary._add(record, review_below)
        return summary

    def _add(self, record: Record, review_below: float | None) -> None:
        self.images += 1
        self.decode_ms += record.decode_ms
        self.infer_ms += record.infer_ms
        if record.grade is None or record.exit is None or record.confidence is None:
            self.errors += 1
            return
        self.warnings += record.warning is not None
        self.grades[record.grade] = self.grades.get(record.grade, 0) + 1
        self.exits[record.exit] = self.exits.get(record.exit, 0) + 1
        self.review += bool(record.to_review(review_below))

    def __str__(self) -> str:
        parts = [f"{self.images} {'image' if self.images == 1 else 'images'}"]
        parts += [f"{grade} {count}" for grade, count in sorted(self.grades.items())]
        parts += [f"to review {self.review}"] if self.review else []
        parts += [f"with a warning {self.warnings}"] if self.warnings else []
        parts += [f"errors {self.errors}"] if self.errors else []
        return ", ".join(parts)


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


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)
