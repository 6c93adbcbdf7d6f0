"""The exit policy that bounds what is lost by stopping early."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from mango_grader.errors import UsageError
from mango_grader.runtime.exits.base import CalibrationSet, DependsOn, PolicyContext, Reached
from mango_grader.runtime.exits.binomial import most_losses, samples_needed
from mango_grader.runtime.exits.plain import plain_probabilities
from mango_grader.runtime.exits.shares import NEVER, first_reached
from mango_grader.text import counted

THRESHOLDS = tuple(float(one) for one in 1 / (1 + np.exp(-np.linspace(16, -10, 521))))
"""The thresholds that are tested, from cautious to bold; fixed before any data are seen."""

EPS, DELTA = 0.05, 0.1
"""What `risk` without numbers bounds, and how surely."""

_LEAST = 1e-6  # Smaller ones would need millions of fruit.
_ENTRY = re.compile(r"(eps|delta)=(\d{0,3}\.?\d{1,12}|\d{1,3}e-\d{1,2})", re.ASCII)


@dataclass(frozen=True)
class Risk:
    """Stopping early makes few fruit wrong that the last exit gets right, and that is guaranteed.

    A fruit is newly wrong if the answer to any of its images is wrong where the last exit's is right. With
    a probability of at least 1 − `delta` over the draw of the calibration fruit, at most a share `eps` of all fruit is
    newly wrong. That holds for fruit of the same kind, whatever the network. Without grades, the bound is on other
    answers than the last exit's instead, which are no fewer.

    One threshold holds for all exits. Thresholds are tested from cautious to bold, in an order that was fixed before,
    by the exact binomial test at level `delta`; the last one before the first failure is taken, so that no correction
    for many tests is paid.

    No data are used twice. The temperatures were fitted on the same fruit, and the test holds only for exits that were
    fixed before. So what is compared is the largest probability at temperature 1, which depends on the network alone;
    it is found from calibrated probabilities p as p^T / Σ p^T. That is exact but for temperatures below 0.1, where
    single precision no longer holds the small probabilities.

    Source: Angelopoulos et al., Learn then Test (arXiv:2110.01052), fixed-sequence testing with binomial p-values.

    Attributes:
        eps: the risk: share of fruit, above 0 and below 1.
        delta: probability that the risk is above `eps` all the same, above 0 and below 1.
        threshold: an image stops where its largest probability at temperature 1 reaches this; above 1, none does.
        temperatures: (K,), of every exit, by which the probabilities are calibrated.
        graded: whether new errors are bounded; else other answers than the last exit's.
    """

    form: ClassVar[str] = "risk:eps=0.05,delta=0.1"
    depends_on: ClassVar[DependsOn] = "image"
    eps: float
    delta: float
    threshold: float
    temperatures: tuple[float, ...]
    graded: bool = True

    def settled(self, reached: Reached) -> NDArray[np.bool_]:
        """Return True for images that are sure enough."""
        index = reached.exit_index
        return np.asarray(_plain_confidence(reached.probabilities[-1], self.temperatures[index]) >= self.threshold)

    def __str__(self) -> str:
        bounded = "new errors" if self.graded else "other answers than the last exit"
        return f"risk:eps={self.eps:.12g},delta={self.delta:.12g} ({bounded}; {self.threshold:.9g})"

    @classmethod
    def parse(cls, argument: str, context: PolicyContext) -> Self:
        """Return the policy for "eps=0.05,delta=0.1"; what is left out has these values."""
        numbers = _numbers(argument)
        return cls.of(context.read_calibration(), context.temperatures or (1.0,) * context.exits, *numbers)

    @classmethod
    def of(cls, answers: CalibrationSet, temperatures: Sequence[float], eps: float, delta: float) -> Self:
        """Return the boldest policy that calibration data prove.

        Args:
            answers: to fruit that the network was not trained on.
            temperatures: (K,), by which the answers are calibrated.
            eps: the risk, above 0 and below 1.
            delta: probability of a higher one, above 0 and below 1.

        Raises:
            UsageError: if there are too few fruit, or if the network has been trained on them.
        """
        if answers.retrained:
            raise UsageError(
                f"policy {_name(eps, delta)}: the model was trained on its calibration fruit; give it fresh fruit:"
                " mango-grader calibrate"
            )
        groups = np.unique(answers.groups, return_inverse=True)[1]
        allowed = most_losses(answers.group_count, eps, delta)
        if allowed < 0:
            raise UsageError(_too_few(answers.group_count, eps, delta))
        signals = np.stack([_plain_confidence(*each) for each in zip(answers.probabilities, temperatures, strict=True)])
        lost = _lost(answers)
        rows, proven = np.arange(lost.shape[1]), NEVER
        for threshold in THRESHOLDS:
            stops = first_reached(signals, (threshold,) * (len(signals) - 1))
            if len(np.unique(groups[lost[stops, rows]])) > allowed:
                break
            proven = threshold
        return cls(eps, delta, proven, tuple(temperatures), answers.labels is not None)


def _too_few(groups: int, eps: float, delta: float) -> str:
    """Return why a number of calibration fruit cannot prove a risk, and how many could."""
    none, one, two = (samples_needed(losses, eps, delta) for losses in range(3))
    return (
        f"policy {_name(eps, delta)} needs {none:,} calibration fruit if none of them is newly wrong, {one:,} if one is"
        f" and {two:,} if two are; this model has {counted(groups, 'fruit', 'fruit')}. Give it more fruit, mango-grader"
        " calibrate, or ask for a larger eps"
    )


def _name(eps: float, delta: float) -> str:
    return f"risk:eps={eps:.12g},delta={delta:.12g}"


def _numbers(argument: str) -> tuple[float, float]:
    """Return eps and delta of a policy's argument."""
    found = [_ENTRY.fullmatch(entry) for entry in argument.split(",")] if argument else []
    values = {one[1]: float(one[2]) for one in found if one}
    if len(values) < len(found) or not all(_LEAST <= value < 1 for value in values.values()):
        raise UsageError(
            f"policy risk:{argument[:40]}: write risk:eps=0.05,delta=0.1, each a share above 0 and below 1; either may"
            " be left out"
        )
    return values.get("eps", EPS), values.get("delta", DELTA)


def _lost(answers: CalibrationSet) -> NDArray[np.bool_]:
    """Return whether the answer of each exit to each image is a loss, (K, N)."""
    given = answers.probabilities.argmax(axis=2)
    if answers.labels is None:
        return np.asarray(given != given[-1])
    return np.asarray((given != answers.labels) & (given[-1] == answers.labels))


def _plain_confidence(probabilities: NDArray[np.floating], temperature: float) -> NDArray[np.float64]:
    largest: NDArray[np.float64] = plain_probabilities(probabilities, temperature).max(axis=1)
    return largest
