"""The decision about one fruit, and its row in every table."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

from mango_grader.line.observations import Status


@dataclass(frozen=True)
class Decision:
    """What was decided about one fruit: exactly one for each.

    Attributes:
        id: unique in all tables: the number of the run and the number of the decision.
        sequence: number of the decision in its run, from 1, without gaps.
        lot: name of the lot; "" where none was given.
        fruit: number of the fruit as the tracker counts, from 1.
        lane: number of the lane, from 1; 0 where the fruit lay in none.
        status: how the fruit ended: "decided", "incomplete" (the source ended before the decision line) or "present at
            start" (it was beyond the line in the first frame, and is not counted).
        grade: name of a class; None where the fruit could not be graded.
        probabilities: of all classes, fused over its views, in the model's order; None without a grade.
        confidence: probability of the grade, 0..1; None without a grade.
        review: whether a person should look; None where the decision rule never asks.
        outlet: name of the outlet that it goes to; None where it goes to none.
        due_time: seconds, on the clock of the frames, at which it is at its outlet; None where that is not known.
        due_ticks: encoder position at which it is at its outlet; None without an encoder.
        late: whether the decision came too late for its outlet; None where nobody waits for it.
        views: number of frames that were looked at.
        exits: for each of these views, the exit that was reached, from 1.
        length_mm: longer side of the fruit in millimetres; None without a scale.
        width_mm: shorter side of the fruit in millimetres; None without a scale.
        entered_frame: index of the first frame that shows it.
        decided_frame: index of the frame at which it was decided.
        entered_time: seconds of the first frame that shows it.
        decided_time: seconds at which its centre was on the decision line.
        across: position of its centre across the belt at that moment, in pixels.
        cost: expected cost in the unit of the rule's prices; None for a rule without prices.
        labels: classes that the decision rule cannot exclude; None for a rule without such sets.
        error: why there is no grade; None if there is one.
    """

    id: str
    sequence: int
    lot: str
    fruit: int
    lane: int
    status: Status
    grade: str | None
    probabilities: tuple[float, ...] | None
    confidence: float | None
    review: bool | None
    outlet: str | None
    due_time: float | None
    due_ticks: float | None
    late: bool | None
    views: int
    exits: tuple[int, ...]
    length_mm: float | None
    width_mm: float | None
    entered_frame: int
    decided_frame: int
    entered_time: float
    decided_time: float
    across: float
    cost: float | None = None
    labels: tuple[str, ...] | None = None
    error: str | None = None

    @property
    def counted(self) -> bool:
        """Whether the fruit counts as one that passed."""
        return self.status == "decided"

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values, nothing rounded."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Rebuild from `to_dict`; raise `KeyError` or `TypeError` for anything else."""
        rows = {name: values[name] for name in ("probabilities", "exits", "labels")}
        return cls(**{**values, **{name: None if row is None else tuple(row) for name, row in rows.items()}})


def column_kinds(classes: Sequence[str]) -> dict[str, type]:
    """Return the columns of a table of decisions and the type of each, str, int, float or bool; any may be empty.

    Args:
        classes: of the model, in its order.
    """
    return {
        "id": str, "lot": str, "lane": int, "status": str, "grade": str, **{f"p_{name}": float for name in classes},
        "confidence": float, "review": bool, "outlet": str, "due_time": float, "due_ticks": float, "late": bool,
        "views": int, "exits": str, "length_mm": float, "width_mm": float, "entered_frame": int, "decided_frame": int,
        "entered_time": float, "decided_time": float, "across": float, "cost": float, "set": str, "error": str,
    }  # fmt: skip


def to_row(decision: Decision, classes: Sequence[str]) -> dict[str, Any]:
    """Return one row of a table, in the order of `column_kinds`: probabilities to 6 digits, seconds to the microsecond.

    Args:
        decision: to write.
        classes: of the model, in its order.
    """
    numbers = decision.probabilities or (None,) * len(classes)
    values: dict[str, Any] = {
        **{name: getattr(decision, name, None) for name in column_kinds(classes)},
        **{f"p_{name}": value for name, value in zip(classes, numbers, strict=True)},
        "exits": " ".join(map(str, decision.exits)),
        "set": None if decision.labels is None else "|".join(decision.labels),
    }
    return {name: round(value, 6) if isinstance(value, float) else value for name, value in values.items()}
