"""The sandwich rule: a space's largest and smallest path learn in every weight step, beside those that are drawn."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from mango_grader.automl.architecture import Architecture
from mango_grader.automl.cost import GraphCost, macs
from mango_grader.automl.graph import Choice
from mango_grader.automl.search_space import SearchSpace
from mango_grader.automl.supernet import Gates, gates_of
from mango_grader.ranges import CountOrNone, Ranged
from mango_grader.training.recipe import Distillation

_TIE = 0.5  # below the least difference of two numbers of multiply-accumulates


@dataclass(frozen=True)
class SandwichRule(Ranged):
    """Which paths share a step of the shared weights, and how they learn from the largest of them.

    The gradients of all paths add up to one step. The largest path learns the labels, and every exit of the others the
    answers of its last exit (in-place distillation). Source: BigNAS (Yu et al., 2020), §3.1; Yu & Huang (2019), §3.

    Attributes:
        drawn: paths that the method draws for each step, beside the largest and the smallest; 0 turns the rule off, so
            that each step trains one path of the method's.
        distillation: how the largest path's answers count for the others; with weight 1 (BigNAS) these learn nothing
            else.

    Raises:
        RangeError: a value is out of range.

    Example:
        >>> SandwichRule(drawn=2).distillation.weight
        1.0
    """

    drawn: CountOrNone = 0
    distillation: Distillation = Distillation(weight=1.0, temperature=1.0)

    def ignored(self) -> Mapping[str, str]:
        """Return what is for paths that do not learn together."""
        return {} if self.drawn else {"distillation": "each step trains one path; set sandwich.drawn, too"}


@dataclass(frozen=True)
class Sandwich:
    """The sandwich rule in a space.

    Attributes:
        rule: how many paths are drawn, and how they learn from the largest.
        smallest: the gates of the cheapest architecture.
        largest: the gates of the most expensive one.
    """

    rule: SandwichRule
    smallest: Gates
    largest: Gates

    @classmethod
    def of(cls, space: SearchSpace, rule: SandwichRule) -> Self | None:
        """Return what the rule means in a space; None where it is off."""
        if not rule.drawn:
            return None
        smallest, largest = (gates_of(found, space.decisions) for found in extremes(space))
        return cls(rule, smallest, largest)


def extremes(space: SearchSpace) -> tuple[Architecture, Architecture]:
    """Return the cheapest and the most expensive architecture, in multiply-accumulates up to the last exit.

    Each decision takes its least or most expensive legal choice: by what the candidates cost themselves, of equals one
    that passes something on; then by what the whole network costs, of which a candidate may keep other parts alive.

    Args:
        space: that they are of.

    Example:
        >>> from mango_grader.automl.spaces import LiteConfig
        >>> smallest, largest = extremes(SearchSpace(LiteConfig(32, 32, 2, blocks=(1, 2, 1))))
        >>> smallest.choices["block3"], largest.choices["block3"]
        (('identity',), ('k7e6',))
    """
    cost = macs(space)
    return _extreme(space, cost, -1), _extreme(space, cost, 1)


def _extreme(space: SearchSpace, cost: GraphCost, sign: int) -> Architecture:
    """Return the most expensive architecture for the sign 1, the cheapest for −1."""
    working = {
        (node.decision, branch.candidate)
        for node in space.graph.nodes
        if isinstance(node, Choice)
        for branch in node.branches
        if branch.op is not None
    }

    def score(decision: str, candidate: str) -> float:
        # Above 0 for the most expensive, which takes as many candidates as it may; below 0 for the cheapest.
        return sign * (cost.operation(decision, candidate) + 1) + _TIE * ((decision, candidate) in working)

    scores: dict[str, NDArray[np.float64]] = {
        decision.name: np.array([score(decision.name, each) for each in decision.candidates])
        for decision in space.decisions
    }
    found = space.nearest(scores)
    price = sign * cost.exact(found)[-1]
    for decision in space.decisions:
        if decision.free:  # all or nothing: more never costs less
            continue
        own = scores[decision.name]
        for place in range(len(own)):
            first = np.where(np.arange(len(own)) == place, np.inf, own)
            tried = space.nearest({**scores, decision.name: first})
            if (other := sign * cost.exact(tried)[-1]) > price:
                found, price, scores[decision.name] = tried, other, first
    return found
