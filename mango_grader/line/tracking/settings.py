"""Settings of the tracker."""

from dataclasses import dataclass

from mango_grader.ranges import Positive
from mango_grader.settings import Section


@dataclass(frozen=True)
class TrackingConfig(Section):
    """How fruit are followed.

    Attributes:
        missing_for: seconds for which a fruit may be hidden before it is given up; at least three frames.
    """

    missing_for: Positive = 0.5
