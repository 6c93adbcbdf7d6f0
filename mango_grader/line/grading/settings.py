"""Settings of the grading of fruit."""

from dataclasses import dataclass

from mango_grader.ranges import Count, Positive
from mango_grader.settings import Section


@dataclass(frozen=True)
class GradingConfig(Section):
    """How fruit are graded.

    Attributes:
        fusion: how the answers to the views of one fruit become one, see `parse_fusion`: "evidence", "mean"; what
            `conveyor fusion` fits is written here.
        policy: exit policy, see `parse_exit_policy`; None is the model's own.
        decide: decision rule, see `parse_decision_rule`; None is the model's own.
        views: most views of one fruit that are looked at.
        least_views: views of one fruit that are looked at before the exit policy may settle it; at most `views`. A side
            that no view shows may hold the defect, so fewer save time only under a policy that asks for enough
            confidence, such as "threshold:0.95".
        deadline_ms: milliseconds from the last view of a fruit to its decision, with `--realtime`.
    """

    fusion: str = "evidence"
    policy: str | None = None
    decide: str | None = None
    views: Count = 8
    least_views: Count = 8
    deadline_ms: Positive = 60.0
