"""What a grading run comes to: how many of each grade, how sure, how fast."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from mango_grader.runtime.records import Record


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
