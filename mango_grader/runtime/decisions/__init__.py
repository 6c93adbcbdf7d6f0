"""What to answer: decision rules, each a small class that is chosen by a text such as "argmax"."""

from collections.abc import Mapping

from mango_grader.errors import UsageError
from mango_grader.runtime.decisions.argmax import Argmax
from mango_grader.runtime.decisions.base import DecisionRule, Decisions, ParsedRule, RuleContext, stopped
from mango_grader.runtime.decisions.conformal import Conformal
from mango_grader.runtime.decisions.cost import Cost

__all__ = [
    "DECISION_RULES", "Argmax", "Conformal", "Cost", "DecisionRule", "Decisions", "RuleContext", "parse_decision_rule",
    "stopped",
]  # fmt: skip

DECISION_RULES: Mapping[str, type[ParsedRule]] = {"argmax": Argmax, "cost": Cost, "conformal": Conformal}
"""Every decision rule, by the name before its colon."""


def parse_decision_rule(text: str, context: RuleContext) -> DecisionRule:
    """Return the decision rule that a text names.

    Args:
        text: name of a rule, or its name, a colon and an argument: "argmax", "cost:prices.csv".
        context: what the model offers.

    Raises:
        UsageError: if there is no such decision rule, or if the model lacks what it needs.
    """
    name, colon, argument = text.partition(":")
    if name in DECISION_RULES and (argument or not colon):
        return DECISION_RULES[name].parse(argument, context)
    forms = [rule.form for rule in DECISION_RULES.values()]
    raise UsageError(f"decision rule {text[:40]!r} is unknown; use {', '.join(forms)}")
