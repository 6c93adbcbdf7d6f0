"""What a run has counted so far."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from mango_grader.line.decision import Decision
from mango_grader.line.sinks.base import Figure
from mango_grader.line.sources.base import SourceCounts
from mango_grader.text import counted


@dataclass
class Tally:
    """Counts over the frames and decisions of a run, those before an interruption included.

    Attributes:
        frames: that were looked at.
        unreadable: frames that could not be read.
        fruit: that passed the decision line.
        incomplete: fruit that the source's end left open.
        at_start: fruit that were beyond the decision line in the first frame.
        review: fruit that passed and that a person should look at.
        late: fruit that passed and were decided too late.
        ungraded: fruit that passed without a grade.
        grades: number of fruit that passed, by grade.
        lost: frames that were dropped, or never received.
        new_models: times that the model was replaced.
        refused_models: times that the file of the model was replaced by one that cannot be used.

    Example:
        >>> print(Tally(frames=900, fruit=38, grades={"A": 30, "B": 8}))
        38 fruit of 900 frames, A 30, B 8
    """

    frames: int = 0
    unreadable: int = 0
    fruit: int = 0
    incomplete: int = 0
    at_start: int = 0
    review: int = 0
    late: int = 0
    ungraded: int = 0
    grades: dict[str, int] = field(default_factory=dict)
    lost: int = 0
    new_models: int = 0
    refused_models: int = 0

    @property
    def sound(self) -> bool:
        """Whether every frame was read and every fruit that passed has a grade."""
        return not (self.unreadable or self.ungraded or self.lost)

    def add(self, decision: Decision) -> None:
        """Count one decision.

        Args:
            decision: which one.
        """
        self.at_start += decision.status == "present at start"
        self.incomplete += decision.status == "incomplete"
        if not decision.counted:
            return
        self.fruit += 1
        self.review += bool(decision.review)
        self.late += bool(decision.late)
        self.ungraded += decision.grade is None
        if decision.grade is not None:
            self.grades[decision.grade] = self.grades.get(decision.grade, 0) + 1

    def figures(self) -> tuple[Figure, ...]:
        """Return what happened to the frames, as figures."""
        return (
            Figure("frames", "Frames that were looked at.", self.frames, True),
            Figure("frames_unreadable", "Frames that could not be read.", self.unreadable, True),
            Figure("frames_lost", "Frames that were dropped, or never received.", self.lost, True),
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Rebuild from `to_dict`."""
        return cls(**values)

    def __str__(self) -> str:
        parts = [f"{self.fruit:,} fruit of {counted(self.frames, 'frame')}"]
        parts += [f"{grade} {count:,}" for grade, count in sorted(self.grades.items())]
        rest = {
            "to review": self.review, "late": self.late, "without a grade": self.ungraded,
            "incomplete": self.incomplete, "present at start": self.at_start,
            "frames that cannot be read": self.unreadable, "frames lost": self.lost,
            "new models": self.new_models, "models refused": self.refused_models,
        }  # fmt: skip
        return ", ".join([*parts, *(f"{name} {count:,}" for name, count in rest.items() if count)])


def lost(counts: SourceCounts) -> int:
    """Return the number of frames of a source that were dropped or never received.

    Args:
        counts: of the source.
    """
    return counts.dropped + counts.missing
