"""The answer to one fruit, fused over its views."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Answer:
    """What the views of one fruit say of it.

    Attributes:
        fruit: its number.
        exits: the exit that each view reached, from 1; 0 where there was no time for it.
        digest: of the evidence, see `Evidence.digest`.
        grade: name of a class; None where there is an `error`.
        probabilities: of all classes, fused over its views, in the model's order; None without a grade.
        confidence: probability of the grade, 0..1; None without a grade.
        review: whether a person should look; None where the decision rule never asks.
        cost: expected cost in the unit of the rule's prices; None for a rule without prices.
        labels: classes that the decision rule cannot exclude; None for a rule without such sets.
        length_mm: longer side of the fruit in millimetres; None without a scale or a complete view.
        width_mm: shorter side of the fruit in millimetres; None without a scale or a complete view.
        error: why there is no grade; None if there is one.
    """

    fruit: int
    exits: tuple[int, ...]
    digest: str
    grade: str | None = None
    probabilities: tuple[float, ...] | None = None
    confidence: float | None = None
    review: bool | None = None
    cost: float | None = None
    labels: tuple[str, ...] | None = None
    length_mm: float | None = None
    width_mm: float | None = None
    error: str | None = None

    @property
    def views(self) -> int:
        """Number of views that were looked at."""
        return sum(reached > 0 for reached in self.exits)
