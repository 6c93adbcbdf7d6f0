"""When to stop: exit policies, each a small class that is chosen by a text such as "exit:2"."""

from collections.abc import Mapping

from mango_grader.errors import UsageError
from mango_grader.runtime.exits.base import (
    CalibrationSet,
    DependsOn,
    ExitPolicy,
    ParsedPolicy,
    PolicyContext,
    Reached,
    stop_exits,
)
from mango_grader.runtime.exits.budget import Budget
from mango_grader.runtime.exits.deadline import Deadline
from mango_grader.runtime.exits.default import DefaultPolicy, default_policy, explain_default
from mango_grader.runtime.exits.fixed import ExitAt, Full
from mango_grader.runtime.exits.risk import Risk
from mango_grader.runtime.exits.stage_times import StageTimes
from mango_grader.runtime.exits.threshold import Threshold

__all__ = [
    "EXIT_POLICIES", "Budget", "CalibrationSet", "Deadline", "DefaultPolicy", "DependsOn", "ExitAt", "ExitPolicy",
    "Full", "PolicyContext", "Reached", "Risk", "StageTimes", "Threshold", "default_policy", "explain_default",
    "parse_exit_policy", "stop_exits",
]  # fmt: skip

EXIT_POLICIES: Mapping[str, type[ParsedPolicy]] = {
    "full": Full,
    "exit": ExitAt,
    "threshold": Threshold,
    "budget": Budget,
    "risk": Risk,
    "deadline": Deadline,
}
"""Every exit policy, by the name before its colon."""


def parse_exit_policy(text: str, context: PolicyContext) -> ExitPolicy:
    """Return the exit policy of a model that a text names.

    Args:
        text: name of a policy, or its name, a colon and an argument: "full", "exit:2", "budget:40%".
        context: what the model offers.

    Raises:
        UsageError: if there is no such exit policy, or if the model lacks what it needs.
    """
    name, colon, argument = text.partition(":")
    if name in EXIT_POLICIES and (argument or not colon) and argument.isprintable():
        return EXIT_POLICIES[name].parse(argument, context)
    if not colon and name in context.thresholds:
        return Threshold.of(context.thresholds[name])
    forms = [policy.form for policy in EXIT_POLICIES.values()]
    tuned = [name for name in context.thresholds if name not in EXIT_POLICIES]
    raise UsageError(f"policy {text[:40]!r} is unknown to this model; use {', '.join([*forms, *tuned])}")
