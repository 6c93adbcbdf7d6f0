"""What the decisions of a model with prices really cost on its calibration fruit."""

from dataclasses import dataclass

import numpy as np

from mango_grader.runtime.decisions import Argmax, Cost
from mango_grader.runtime.exits import stop_exits
from mango_grader.runtime.inference.grader import Grader
from mango_grader.runtime.inference.model_context import read_calibration


@dataclass(frozen=True)
class RealisedCost:
    """What decisions cost by the true classes, on average over the calibration images, in the unit of the prices.

    Attributes:
        decided: cost an image of the decisions by prices.
        argmax: cost an image if the most probable class were always answered.
        review: share of the images that a person is asked about, 0..1.
    """

    decided: float
    argmax: float
    review: float

    def __str__(self) -> str:
        return f"{self.decided:.4g} an image, {self.argmax:.4g} by argmax; a person looks at {self.review:.1%}"


def realised_cost(grader: Grader) -> RealisedCost | None:
    """Return what a grader's decisions cost on its calibration fruit, each image stopped by its exit policy.

    Args:
        grader: with the rule, the policy and the model.

    Returns:
        None for a rule without prices, and where there are no graded calibration fruit.
    """
    rule, info = grader.rule, grader.manifest.calibration
    if not isinstance(rule, Cost) or info is None or not info.labelled:
        return None
    found = read_calibration(grader.bundle, grader.model.precision)
    assert found.labels is not None
    exits = stop_exits(grader.policy, found.probabilities) + 1
    decisions, plain = (one.decide(found.probabilities, exits) for one in (rule, Argmax()))
    review = 0.0 if decisions.review is None else float(np.mean(decisions.review))
    decided, argmax = (float(rule.realised(one, found.labels).mean()) for one in (decisions, plain))
    return RealisedCost(decided, argmax, review)
