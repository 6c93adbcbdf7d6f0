"""The written rule: the grade of a mango by its visible defects.

Areas are measured in thumbs. A thumb is a disc whose diameter is `THUMB_LENGTHS` of the length of the fruit
(2.2 cm on a fruit of 11 cm), because grading rules for mangoes speak of "a defect that a thumb can cover".

* Each kind of defect has a weight: rot is worse than a bruise of the same size.
* The severity is the sum of weight × area in thumbs over the defects.
* **A** if severity < `A_LIMIT`; **C** if severity ≥ `C_LIMIT` or stem-end rot covers `ROT_LIMIT` thumbs or
  more; **B** otherwise. Colour, shape, size and background do not matter.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum

THUMB_LENGTHS = 0.2
A_LIMIT = 0.25
C_LIMIT = 1.0
ROT_LIMIT = 0.5
GRADES = ("A", "B", "C")


class Kind(IntEnum):
    """A kind of defect; the value is its code in a mask (0 is sound skin or background)."""

    BRUISE = 1
    SAP_BURN = 2
    ANTHRACNOSE = 3
    STEM_END_ROT = 4

    @property
    def label(self) -> str:
        """The name in `lesions.csv`, such as `stem_end_rot`."""
        return self.name.lower()


WEIGHTS = {Kind.BRUISE: 0.7, Kind.SAP_BURN: 1.0, Kind.ANTHRACNOSE: 1.0, Kind.STEM_END_ROT: 1.5}


@dataclass(frozen=True)
class Lesion:
    """All skin in one image with one kind of defect.

    Attributes:
        kind: of the defect.
        area_px: in pixels.
        area_thumbs: in thumbs.
    """

    kind: Kind
    area_px: int
    area_thumbs: float


def thumb_area(length: float) -> float:
    """Return the area of a thumb in square pixels.

    Args:
        length: of the fruit, in pixels.
    """
    return math.pi * (THUMB_LENGTHS * length / 2) ** 2


def severity_of(lesions: Iterable[Lesion]) -> float:
    """Return the weighted area of the defects in thumbs, 0 for a sound fruit.

    Args:
        lesions: of one image.
    """
    return sum(WEIGHTS[lesion.kind] * lesion.area_thumbs for lesion in lesions)


def grade_of(lesions: Iterable[Lesion]) -> str:
    """Return the grade, "A", "B" or "C", by the rule above.

    Args:
        lesions: of one image.

    Example:
        >>> grade_of([Lesion(Kind.BRUISE, area_px=120, area_thumbs=0.5)])
        'B'
    """
    lesions = tuple(lesions)
    severity = severity_of(lesions)
    if severity >= C_LIMIT or _rot(lesions) >= ROT_LIMIT:
        return "C"
    return "A" if severity < A_LIMIT else "B"


def near_limit(lesions: Iterable[Lesion], within: float = 0.2) -> bool:
    """Return whether a quantity of the rule is close to its limit.

    Args:
        lesions: of one image.
        within: greatest distance, as a share of the limit.
    """
    lesions = tuple(lesions)
    severity = severity_of(lesions)
    pairs = ((severity, A_LIMIT), (severity, C_LIMIT), (_rot(lesions), ROT_LIMIT))
    return any(abs(value - limit) <= within * limit for value, limit in pairs)


def _rot(lesions: tuple[Lesion, ...]) -> float:
    return sum(lesion.area_thumbs for lesion in lesions if lesion.kind is Kind.STEM_END_ROT)
