"""The usual exit policies of a run's model, each alone and with sets of classes, side by side on the test part."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mango_grader.runtime.decisions import RuleContext, parse_decision_rule
from mango_grader.runtime.exits import PolicyContext, parse_exit_policy
from mango_grader.training.combinations import CombinationMetrics, Stops, Yardstick, combination_metrics
from mango_grader.training.metrics import EvaluationSet
from mango_grader.workflow.combining import CONFORMAL, Refusal, make_allowed, usual_policies


@dataclass(frozen=True)
class SideBySide:
    """Exit policies with decision rules.

    Attributes:
        combinations: what the model allows.
        refused: what it does not allow, and why.
    """

    combinations: tuple[CombinationMetrics, ...] = ()
    refused: tuple[Refusal, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-safe plain data."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "SideBySide":
        """Rebuild from `to_dict`'s data."""
        combinations = tuple(CombinationMetrics.from_dict(each) for each in data["combinations"])
        return cls(combinations, tuple(Refusal(**each) for each in data["refused"]))


def side_by_side(
    context: PolicyContext, default: str, probabilities: NDArray[np.float32], evaluated: EvaluationSet
) -> SideBySide:
    """Measure the usual exit policies, with the most probable class as the answer and with sets of classes.

    Args:
        context: what the model offers to exit policies.
        default: its default exit policy.
        probabilities: (K, N, C), calibrated, of every exit.
        evaluated: the N images.
    """
    names = usual_policies(context.exits, context.thresholds, default, calibrated=True)
    policies, refused = make_allowed(names, partial(parse_exit_policy, context=context))
    last = probabilities[-1].argmax(axis=1) == evaluated.labels
    yardstick = Yardstick(evaluated, context.macs, last)
    found: list[CombinationMetrics] = []
    for name, policy in policies.items():
        stops = Stops.replayed(policy, probabilities)
        offered = RuleContext(
            classes=tuple(evaluated.classes), ordinal=evaluated.ordinal, prices=None, policy=policy, model=context
        )
        rules, without = make_allowed(("argmax", CONFORMAL), partial(parse_decision_rule, context=offered))
        refused += tuple(Refusal(f"{name} with {one.name}", one.reason) for one in without)
        for decide, rule in rules.items():
            decisions = rule.decide(stops.history, stops.exits)
            found.append(combination_metrics(name, decide, stops, decisions, yardstick))
    return SideBySide(tuple(found), refused)
