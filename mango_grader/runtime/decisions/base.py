"""What a decision rule is: it turns the answers of the exits that ran into a grade, or into a person's look."""

from dataclasses import dataclass
from typing import ClassVar, Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from mango_grader.runtime.bundle.manifest import Prices
from mango_grader.runtime.exits.base import ExitPolicy, PolicyContext


@dataclass(frozen=True, eq=False)
class Decisions:
    """What a rule decided about N images.

    Attributes:
        answers: (N,) int, the class that is answered, 0..C - 1.
        review: (N,) bool, whether a person should look; None where the rule never asks for it.
        costs: (N,), expected cost of the decision in the unit of the prices; None for rules without prices.
        sets: (N, C) bool, the classes that the rule cannot exclude; None for rules without such sets.
    """

    answers: NDArray[np.integer]
    review: NDArray[np.bool_] | None = None
    costs: NDArray[np.floating] | None = None
    sets: NDArray[np.bool_] | None = None


@runtime_checkable
class DecisionRule(Protocol):
    """Decides what to answer, from the probabilities of the exits that ran."""

    def decide(self, history: NDArray[np.floating], exits: NDArray[np.integer]) -> Decisions:
        """Return what is answered for each image.

        Args:
            history: (K, N, C), calibrated probabilities of every exit; NaN where an exit did not run.
            exits: (N,) int, the exit at which each image stopped, from 1.
        """

    def under(self, policy: ExitPolicy) -> "DecisionRule":
        """Return this rule for images that another exit policy stops, such as one with a deadline for one call.

        Args:
            policy: by which the images stop.
        """

    def __str__(self) -> str:
        """Return the rule's name and numbers, by which two jobs are told apart."""


@dataclass(frozen=True, kw_only=True)
class RuleContext:
    """What a model offers to a decision rule that is made for it.

    Attributes:
        classes: names of the C classes, in the order of the probabilities.
        ordinal: whether they are grades in order.
        prices: that are kept in the bundle; None if there are none.
        policy: the exit policy that the rule is used with.
        model: what the model offers to exit policies, its calibration data among it.
    """

    classes: tuple[str, ...]
    ordinal: bool
    prices: Prices | None
    policy: ExitPolicy
    model: PolicyContext


class ParsedRule(DecisionRule, Protocol):
    """A decision rule that a text can name.

    Attributes:
        form: how the text is written, as messages show it.
    """

    form: ClassVar[str]

    @classmethod
    def parse(cls, argument: str, context: RuleContext) -> Self:
        """Return the rule for a model.

        Args:
            argument: what follows the rule's name and its colon; "" without a colon.
            context: what the model offers.

        Raises:
            UsageError: if the argument is wrong, or if the model lacks what the rule needs.
        """


def stopped(history: NDArray[np.floating], exits: NDArray[np.integer]) -> NDArray[np.floating]:
    """Return the probabilities (N, C) of the exit at which each image stopped.

    Args:
        history: (K, N, C), of every exit.
        exits: (N,) int, from 1.
    """
    answers: NDArray[np.floating] = history[exits - 1, np.arange(len(exits))]
    return answers
