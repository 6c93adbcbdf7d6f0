"""The result of grading one image, its row in every output format, and the summary of many."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from mango_grader.text import printable_path


@dataclass(frozen=True)
class Record:
    """The result of grading one image: a grade, or an error that tells why there is none.

    Attributes:
        path: of the image; "" if it was not given as a path.
        grade: name of a class; None for an image with an error.
        probabilities: of all classes, in the model's order; None for an image with an error.
        confidence: probability of the grade, 0..1; None for an image with an error.
        exit: number of the exit that answered, from 1; None for an image with an error.
        decode_ms: milliseconds to decode and fit the image.
        infer_ms: milliseconds in the network, as this image's share of its batch.
        error: why the image has no grade; None if it has one.
        warning: why a graded image may not show what it should, such as an image of one colour; None otherwise.
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
        """Return whether the grade is less sure than `below`; None if there is no grade, or if `below` is None."""
        return None if below is None or self.confidence is None else self.confidence < below

    @classmethod
    def failed(cls, path: str, error: str, decode_ms: float, infer_ms: float = 0.0) -> Self:
        """Return the record of an image without a grade."""
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
    """Counts over records.

    Attributes:
        images: number of records.
        errors: number of images without a grade.
        review: number of grades to review.
        warnings: number of graded images with a warning.
        grades: number of images by grade.
        exits: number of images by the exit that answered, from 1.
        decode_ms: milliseconds to decode and fit all images.
        infer_ms: milliseconds in the network for all images.
    """

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
        """Count records; a grade less sure than `review_below` is to be reviewed."""
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
    """Return whether a table with these column names is one of our result tables; some columns may be deleted."""
    found = set(titles)
    numbered = any(title.startswith("p_") for title in titles)
    return {"path", "grade"} <= found and (numbered or {"confidence", "exit"} <= found)


def to_row(record: Record, classes: Sequence[str], review_below: float | None = None) -> dict[str, Any]:
    """Return one result row, in the order of `columns`: probabilities to 6 digits, times to the microsecond.

    Args:
        record: the result.
        classes: of the model, in its order.
        review_below: confidence, 0..1; less sure grades have `review` true. None leaves `review` None.
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
