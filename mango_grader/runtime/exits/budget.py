"""The exit policy that spends a given mean number of multiply-adds."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from mango_grader.errors import UsageError
from mango_grader.runtime.exits.base import CalibrationSet, DependsOn, PolicyContext, Reached
from mango_grader.runtime.exits.shares import NEVER, first_reached, geometric_thresholds
from mango_grader.runtime.exits.signals import SIGNALS, every_signal
from mango_grader.runtime.exits.threshold import Threshold
from mango_grader.text import counted

TOLERANCE = 0.03
"""Share of the budget by which the mean cost may differ from it."""

_AMOUNT = re.compile(r"(\d{1,15}(?:\.\d{1,9})?)([kMG%]?)", re.ASCII)
_UNITS = {"": 1.0, "k": 1e3, "M": 1e6, "G": 1e9}
_LOG_RATIO, _HALVINGS = 30.0, 48  # Shares of e^-30 are no image; 48 halvings place the ratio to 1e-13.


@dataclass(frozen=True)
class Budget:
    """The surest images stop early, as many as bring the mean cost of all images to a budget.

    A geometric share of the calibration images stops at each exit, and its one free number, the ratio, is solved for
    the budget. The signal is the one whose answers are the most accurate at that cost on graded calibration data, else
    the confidence. The mean cost on other images of the same kind is then within `TOLERANCE` of the budget if there
    are thousands of calibration images; with a hundred, chance may take it further away.

    Source: MSDNet (arXiv:1703.09844), §5.2, budgeted batch classification.

    Attributes:
        macs: mean multiply-adds of an image that may be spent; as many as the last exit's or more are as "full".
        stops: the signal and thresholds that spend them.
    """

    form: ClassVar[str] = "budget:MACS or budget:40%"
    depends_on: ClassVar[DependsOn] = "image"
    macs: float
    stops: Threshold

    def settled(self, reached: Reached) -> NDArray[np.bool_]:
        """Return True for images that are sure enough."""
        return self.stops.settled(reached)

    def __str__(self) -> str:
        return f"budget:{self.macs:.15g} ({self.stops})"

    @classmethod
    def parse(cls, argument: str, context: PolicyContext) -> Self:
        """Return the policy for a mean cost: "2500000", "2.5M", or a share of the last exit's, "40%"."""
        macs, (least, most) = _amount(argument, context.macs[-1]), (context.macs[0], context.macs[-1])
        if macs < least:
            raise UsageError(
                f"policy budget:{argument}: exit 1 alone takes {least:,} multiply-adds, {100 * least / most:.1f}% of"
                " the last exit's; the budget cannot be less"
            )
        if macs >= most:
            return cls(macs, Threshold((NEVER,) * (context.exits - 1)))
        return cls.of(context.macs, macs, context.read_calibration())

    @classmethod
    def of(
        cls, exit_macs: Sequence[int], macs: float, answers: CalibrationSet, signals: Collection[str] = SIGNALS
    ) -> Self:
        """Return the policy that calibration data give for a budget.

        Args:
            exit_macs: (K,), multiply-adds up to and with each exit.
            macs: the budget, from those of the first exit to below those of the last.
            answers: calibration data.
            signals: names of those that may be chosen, the preferred one first.

        Raises:
            UsageError: if the data do not come near enough to the budget.
        """
        costs = np.asarray(exit_macs, np.float64)
        names = list(signals) if answers.labels is not None else list(signals)[:1]
        found = [_meet(name, costs, macs, answers) for name in names]
        nearest = min(found, key=lambda one: one.miss)
        images = answers.probabilities.shape[1]
        if nearest.miss > TOLERANCE * macs:
            raise UsageError(
                f"policy budget:{macs:.15g}: the calibration data, {counted(images, 'image')}, come no nearer than"
                f" {nearest.cost:,.0f} multiply-adds; ask for that, or give it more fruit: mango-grader calibrate"
            )
        step = (costs[-1] - costs[0]) / images  # What one image more or less can change.
        # The first of equals wins.
        best = max((one for one in found if one.miss <= nearest.miss + step), key=lambda one: one.accuracy)
        return cls(macs, best.stops)


def _amount(argument: str, most: int) -> float:
    found = _AMOUNT.fullmatch(argument)
    if found is None:
        raise UsageError(
            "policy budget needs mean multiply-adds of an image, such as budget:2500000 or budget:2.5M, or a share of"
            " the last exit's, such as budget:40%"
        )
    value, unit = float(found[1]), found[2]
    return value * most / 100 if unit == "%" else value * _UNITS[unit]


@dataclass(frozen=True)
class _Solution:
    """Thresholds for one signal; `miss` is how far the mean cost of the calibration images is from the budget."""

    stops: Threshold
    cost: float
    miss: float
    accuracy: float


def _meet(name: str, costs: NDArray[np.float64], budget: float, answers: CalibrationSet) -> _Solution:
    """Return the thresholds on one signal whose cost is nearest to a budget, found by halving the ratio's range."""
    signals = every_signal(name, answers.probabilities)
    low, high = -_LOG_RATIO, _LOG_RATIO
    best: tuple[float, float, tuple[float, ...]] | None = None
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        thresholds = geometric_thresholds(signals, float(np.exp(middle)))
        cost = float(costs[first_reached(signals, thresholds)].mean())
        best = min(best or (np.inf, cost, thresholds), (abs(cost - budget), cost, thresholds))
        low, high = (middle, high) if cost < budget else (low, middle)
    assert best is not None
    miss, cost, thresholds = best
    accuracy = 0.0
    if answers.labels is not None:
        stops = first_reached(signals, thresholds)
        given = answers.probabilities[stops, np.arange(len(stops))].argmax(axis=1)
        accuracy = float((given == answers.labels).mean())
    return _Solution(Threshold(thresholds, name), cost, miss, accuracy)
