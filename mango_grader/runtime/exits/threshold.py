"""The exit policy that stops an image as soon as an exit is sure enough."""

import re
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from mango_grader.errors import UsageError
from mango_grader.runtime.bundle.manifest import Thresholds
from mango_grader.runtime.exits.base import DependsOn, PolicyContext, Reached
from mango_grader.runtime.exits.signals import SIGNALS

_CONFIDENCE = re.compile(r"0?\.\d{1,9}|1(?:\.0{0,9})?", re.ASCII)


@dataclass(frozen=True)
class Threshold:
    """An image stops at an exit if a signal reaches the exit's threshold.

    Source: MSDNet (arXiv:1703.09844), budgeted batch classification.

    Attributes:
        thresholds: one per exit but the last; no image stops at an exit whose threshold is above 1.
        signal: name of the signal, see `SIGNALS`.
    """

    form: ClassVar[str] = "threshold[:0.9]"
    depends_on: ClassVar[DependsOn] = "image"
    thresholds: tuple[float, ...]
    signal: str = "confidence"

    def settled(self, reached: Reached) -> NDArray[np.bool_]:
        """Return True for images that are sure enough."""
        if reached.exit_index >= len(self.thresholds):
            return np.ones(reached.probabilities.shape[1], np.bool_)
        sure: NDArray[np.bool_] = SIGNALS[self.signal](reached.probabilities) >= self.thresholds[reached.exit_index]
        return sure

    def __str__(self) -> str:
        signal = "" if self.signal == "confidence" else f"{self.signal},"
        return f"threshold:{signal}" + ",".join(f"{value:.9g}" for value in self.thresholds)

    @classmethod
    def of(cls, tuned: Thresholds) -> Self:
        """Return the policy with thresholds of a manifest; raise `UsageError` for a signal that is not known."""
        if tuned.signal not in SIGNALS:
            raise UsageError(f"thresholds of the signal {tuned.signal!r}, which this version does not know: upgrade it")
        return cls(tuned.values, tuned.signal)

    @classmethod
    def parse(cls, argument: str, context: PolicyContext) -> Self:
        """Return the policy with the thresholds tuned in training, or with one confidence for all exits, "0.9"."""
        if argument:
            if _CONFIDENCE.fullmatch(argument) is None:
                raise UsageError(
                    f"policy threshold:{argument[:20]}: write threshold for what was tuned in training, or"
                    " threshold:0.9 to stop at the first exit with a confidence of 0.9"
                )
            return cls((float(argument),) * (context.exits - 1))
        if "threshold" not in context.thresholds:
            raise UsageError("policy threshold: no thresholds were tuned for this model")
        return cls.of(context.thresholds["threshold"])
