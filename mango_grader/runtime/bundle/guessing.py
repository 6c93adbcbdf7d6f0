"""Whether a model is better than guessing, from its results on test images as its bundle tells them."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self

from mango_grader.text import counted

MIN_GROUPS = 30
"""Independent groups of test images that a verdict needs."""


@dataclass(frozen=True)
class Guessing:
    """The last exit's accuracy on test images beside that of always answering the commonest class.

    Attributes:
        accuracy: share of test images with a correct answer, 0..1.
        low: lower bound of its 95 % interval over groups, 0..1; None if there is one group.
        commonest: share of the commonest class among the test images, 0..1.
        images: number of test images.
        groups: number of their groups.
    """

    accuracy: float
    low: float | None
    commonest: float
    images: int
    groups: int

    @property
    def verdict(self) -> Literal["better", "guessing", "too few"]:
        """Whether the interval lies above the commonest class's share; "too few" for fewer than 30 groups."""
        if self.groups < MIN_GROUPS or self.low is None:
            return "too few"
        return "better" if self.low > self.commonest else "guessing"

    def __str__(self) -> str:
        """Return the verdict in one sentence."""
        if self.verdict == "too few":
            seen = counted(self.groups, "test group")
            return f"Too few to tell whether the model beats guessing: {seen}, {MIN_GROUPS} are needed."
        bound = f"at least {self.low:.1%} at 95 % confidence"
        seen = f"{self.accuracy:.1%} of {self.images} test images are correct, {bound}"
        guess = f"always answering the commonest class gives {self.commonest:.1%}"
        if self.verdict == "better":
            return f"Better than guessing: {seen}; {guess}."
        return f"NO BETTER THAN GUESSING, do not grade with this model: {seen}; {guess}."

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)

    @classmethod
    def from_provenance(cls, provenance: Mapping[str, Any]) -> Self | None:
        """Return the results in a bundle's provenance; None for bundles of earlier versions, which have none."""
        found = provenance.get("guessing")
        if not isinstance(found, Mapping) or set(found) != set(cls.__dataclass_fields__):
            return None
        shares = [found["accuracy"], found["commonest"], *([] if found["low"] is None else [found["low"]])]
        counts = [found["images"], found["groups"]]
        sound = all(_is_number(one) and 0 <= one <= 1 for one in shares)
        sound = sound and all(isinstance(one, int) and not isinstance(one, bool) and one >= 0 for one in counts)
        return cls(**found) if sound else None


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
