"""The result of grading one image, its row in every output format, and the summary of many."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
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
        review: whether the decision rule asks for a person's look; None for a rule that never asks.
        cost: expected cost of the decision, in the unit of the rule's prices; None for a rule without prices.
        labels: classes that the decision rule cannot exclude; None for a rule without such sets.
        late: whether the answer came after its deadline; None without a deadline.
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
    review: bool | None = None
    cost: float | None = None
    labels: tuple[str, ...] | None = None
    late: bool | None = None

    def to_review(self, below: float | None) -> bool | None:
        """Return whether a person should look: the rule asks for it, or the grade is less sure than `below`.

        Args:
            below: confidence, 0..1; None where only the rule asks.

        Returns:
            None if there is no grade, or if neither the rule nor `below` can ask.
        """
        if self.confidence is None or (below is None and self.review is None):
            return None
        return bool(self.review) or (below is not None and self.confidence < below)

    @classmethod
    def failed(cls, path: str, error: str, decode_ms: float, infer_ms: float = 0.0) -> Self:
        """Return the record of an image without a grade."""
        return cls(path, None, None, None, None, decode_ms, infer_ms, error)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values, nothing rounded."""
        return dict(vars(self))  # All values are plain; `asdict` copies each of them, which takes as long as the row.

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Rebuild from `to_dict`, of earlier versions too; raise `KeyError` or `TypeError` for anything else."""
        rows = {name: values.get(name) for name in ("probabilities", "labels")}
        return cls(**{**values, **{name: None if row is None else tuple(row) for name, row in rows.items()}})


@dataclass
class Summary:
    """Counts over records.

    Attributes:
        images: number of records.
        errors: number of images without a grade.
        review: number of grades to review.
        warnings: number of graded images with a warning.
        late: number of images that were answered after their deadline.
        grades: number of images by grade.
        exits: number of images by the exit that answered, from 1.
        decode_ms: milliseconds to decode and fit all images.
        infer_ms: milliseconds in the network for all images.
        cost: expected cost of all decisions, in the unit of the rule's prices; None for a rule without prices.
    """

    images: int = 0
    errors: int = 0
    review: int = 0
    warnings: int = 0
    late: int = 0
    grades: dict[str, int] = field(default_factory=dict)
    exits: dict[int, int] = field(default_factory=dict)
    decode_ms: float = 0.0
    infer_ms: float = 0.0
    cost: float | None = None

    @classmethod
    def of(cls, records: Iterable[Record], review_below: float | None = None) -> "Summary":
        """Count records; a grade less sure than `review_below` is to be reviewed."""
        summary = cls()
        for record in records:
            summary.count(record, review_below)
        return summary

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Rebuild from its fields as JSON holds them."""
        return cls(**{**values, "exits": {int(number): count for number, count in values["exits"].items()}})

    def add(self, other: "Summary") -> None:
        """Count the records of another summary, too."""
        for name in ("images", "errors", "review", "warnings", "late", "decode_ms", "infer_ms"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.grades = dict(Counter(self.grades) + Counter(other.grades))
        self.exits = dict(Counter(self.exits) + Counter(other.exits))
        if other.cost is not None:
            self.cost = (self.cost or 0.0) + other.cost

    def count(self, record: Record, review_below: float | None = None) -> None:
        """Count one more record; a grade less sure than `review_below` is to be reviewed."""
        self.images += 1
        self.decode_ms += record.decode_ms
        self.infer_ms += record.infer_ms
        self.late += bool(record.late)
        if record.grade is None or record.exit is None or record.confidence is None:
            self.errors += 1
            return
        self.warnings += record.warning is not None
        self.grades[record.grade] = self.grades.get(record.grade, 0) + 1
        self.exits[record.exit] = self.exits.get(record.exit, 0) + 1
        self.review += bool(record.to_review(review_below))
        if record.cost is not None:
            self.cost = (self.cost or 0.0) + record.cost

    def __str__(self) -> str:
        parts = [f"{self.images} {'image' if self.images == 1 else 'images'}"]
        parts += [f"{grade} {count}" for grade, count in sorted(self.grades.items())]
        parts += [f"to review {self.review}"] if self.review else []
        parts += [f"with a warning {self.warnings}"] if self.warnings else []
        parts += [f"late {self.late}"] if self.late else []
        parts += [f"errors {self.errors}"] if self.errors else []
        parts += [] if self.cost is None else [f"expected cost {self.cost / (self.images - self.errors):.4g} an image"]
        return ", ".join(parts)


def columns(classes: Sequence[str]) -> list[str]:
    """Return the column names of a result table for these classes."""
    return [
        "path", "grade", *(f"p_{name}" for name in classes), "confidence", "exit", "decode_ms", "infer_ms", "error",
        "review", "warning", "cost", "set", "late",
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
        review_below: confidence, 0..1; less sure grades have `review` true. None leaves `review` to the rule.
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
        "cost": _rounded(record.cost, 6),
        "set": None if record.labels is None else "|".join(record.labels),
        "late": record.late,
    }


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)
