"""The decision rule that minimises the expected cost of the answer, or of asking a person."""

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from mango_grader.errors import UsageError
from mango_grader.files import digest
from mango_grader.runtime.bundle.manifest import Prices
from mango_grader.runtime.decisions.base import Decisions, RuleContext, stopped
from mango_grader.runtime.decisions.prices import ordinal_prices, read_prices, to_price
from mango_grader.runtime.exits import ExitPolicy

_ORDINAL = "ordinal"


@dataclass(frozen=True)
class Cost:
    """Answers what is expected to cost least, and asks a person where that is expected to cost less still.

    The expectation is under the calibrated probabilities of the exit where an image stopped: answer j costs
    Σ p_i · price(i, j). Of answers that cost the same, the most probable one is given. Its expected cost is never above
    that of the most probable class; what it really costs on fruit depends on how well the probabilities are calibrated.

    Source: Elkan, The Foundations of Cost-Sensitive Learning (IJCAI 2001), equation 1; the option to ask: Chow, On
    Optimum Recognition Error and Reject Tradeoff (IEEE Trans. Inf. Theory 1970).

    Attributes:
        prices: of answers and of a person's look.
    """

    form: ClassVar[str] = "cost[:FILE|ordinal[,review=PRICE]]"
    prices: Prices

    def decide(self, history: NDArray[np.floating], exits: NDArray[np.integer]) -> Decisions:
        """Return the answer with the lowest expected cost, and whether a person's look is expected to cost less."""
        probabilities = stopped(history, exits).astype(np.float64)
        expected = _expected(probabilities, np.array(self.prices.answers))
        costs = expected.min(axis=1)
        answers = np.where(expected == costs[:, None], probabilities, -1).argmax(axis=1)
        if self.prices.review is None:
            return Decisions(answers, costs=costs)
        asking = _expected(probabilities, np.array(self.prices.review)[:, None])[:, 0]
        return Decisions(answers, asking < costs, np.minimum(asking, costs))

    def realised(self, decisions: Decisions, labels: NDArray[np.integer]) -> NDArray[np.float64]:
        """Return what decisions cost for images whose true class is known, (N,).

        Args:
            decisions: of this rule, or of another one that the same prices are to judge.
            labels: (N,) int, the true classes, 0..C - 1.

        Raises:
            ValueError: if a person is asked whose look has no price.
        """
        costs: NDArray[np.float64] = np.array(self.prices.answers)[labels, decisions.answers]
        if decisions.review is None or not decisions.review.any():
            return costs
        if self.prices.review is None:
            raise ValueError("a person's look has no price")
        return np.where(decisions.review, np.array(self.prices.review)[labels], costs)

    def under(self, policy: ExitPolicy) -> Self:
        """Return the rule as it is: it holds whatever stops an image."""
        return self

    def __str__(self) -> str:
        # The numbers count, not where they are from: a file of prices may change between two jobs.
        return f"cost:{digest(repr(self.prices).encode())[:12]}"

    @classmethod
    def parse(cls, argument: str, context: RuleContext) -> Self:
        """Return the rule with the prices of a file, of "ordinal", or of the model."""
        if not argument:
            if context.prices is None:
                raise UsageError("decision rule cost: the model keeps no prices; name a file, cost:prices.csv")
            return cls(context.prices)
        if argument.partition(",")[0] == _ORDINAL:
            return cls(_ordinal(argument, context))
        return cls(read_prices(argument, context.classes))


def price_file(rule: str) -> str | None:
    """Return the file of prices that the text of a decision rule names; None if it names none.

    Args:
        rule: such as "cost:prices.csv".
    """
    name, _, argument = rule.partition(":")
    names_file = name == "cost" and argument and argument.partition(",")[0] != _ORDINAL
    return argument if names_file else None


def _ordinal(argument: str, context: RuleContext) -> Prices:
    if not context.ordinal:
        raise UsageError("decision rule cost:ordinal: the model's classes are not in order; name a file of prices")
    _, comma, option = argument.partition(",")
    if not comma:
        return ordinal_prices(len(context.classes))
    key, _, number = option.partition("=")
    if key != "review":
        raise UsageError(f"decision rule cost:{argument[:40]}: write cost:ordinal or cost:ordinal,review=0.3")
    try:
        return ordinal_prices(len(context.classes), to_price(number))
    except ValueError as error:
        raise UsageError(f"decision rule cost:ordinal, review: {error}") from error


def _expected(probabilities: NDArray[np.float64], prices: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return Σ p · price, (N, A), of probabilities (N, C) and prices (C, A), the same for any N.

    A matrix product adds in an order that depends on the number of images, so ties would, too.
    """
    total = np.zeros((len(probabilities), prices.shape[1]))
    for column, row in zip(probabilities.T, prices, strict=True):
        total += column[:, None] * row
    return total
