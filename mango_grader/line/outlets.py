"""Outlets: where fruit leave the belt, and which fruit go to which."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from mango_grader.settings import Section


@dataclass(frozen=True)
class OutletsConfig(Section):
    """Which fruit go to which outlet.

    Attributes:
        grades: name of the outlet by grade.
        review: outlet of fruit that a person should look at; None sends them where their grade goes.
        late: outlet of fruit that were decided too late.
        unknown: outlet of fruit without a grade.
        distance_mm: from the decision line to each outlet along the belt, by the outlet's name.
    """

    grades: Mapping[str, str] = field(default_factory=dict)
    review: str | None = None
    late: str | None = None
    unknown: str | None = None
    distance_mm: Mapping[str, float] = field(default_factory=dict)
