"""The fusion that adds up what the views tell, as far as they tell different things."""

import re
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from mango_grader.errors import UsageError
from mango_grader.line.grading.fusions.base import FusionContext

FIRST, LAST = 0.9, 0.5
"""Correlation of the views of one fruit at the first and at the last exit, and evenly between, unless it was fitted."""
LEAST = 1e-6
"""No view excludes a class by more than this: one view alone must not outweigh all others."""

_NUMBERS = re.compile(r"(?:0?\.\d{1,9}|[01](?:\.0{0,9})?)(?:,(?:0?\.\d{1,9}|[01](?:\.0{0,9})?)){0,99}", re.ASCII)


@dataclass(frozen=True)
class Pooled:
    """The sum of the log-odds of all views relative to the prior, divided by how much the views repeat each other.

    V views whose errors have the correlation r are worth V / (1 + (V − 1) r) independent ones, so the sum is divided
    by 1 + (V − 1) r. With r = 0 the views are independent and their evidence adds up, with r = 1 they all say the same
    and the answer is their mean. A view that is at least r times as sure as the answer so far makes it surer; views
    that say the same never make it less sure. Early exits see less of a fruit and so err more alike, which is why each
    exit has a correlation. `fit_fusion` finds them from fruit whose grades are known.

    Source: Kish, Survey Sampling (1965), §5.4, the design effect of clusters; Clemen & Winkler, Limits for the
    Precision and Value of Information from Dependent Sources (Operations Research 1985).

    Attributes:
        prior: (C,), of the classes.
        correlations: (K,), r at each exit, 0..1.
    """

    form: ClassVar[str] = "evidence[:CORRELATION[,…]]"
    prior: tuple[float, ...]
    correlations: tuple[float, ...]

    def combine(self, views: NDArray[np.float64], exit_number: int) -> NDArray[np.float64]:
        """Return the probabilities of all that the views tell."""
        prior = np.log(self.prior)
        evidence = np.log(np.maximum(views, LEAST)) - prior
        repeated = 1 + (len(views) - 1) * self.correlations[exit_number - 1]
        total = prior + evidence.sum(axis=0) / repeated
        return np.asarray(np.exp(total - total.max()))

    def __str__(self) -> str:
        return "evidence:" + ",".join(f"{each:.9g}" for each in self.correlations)

    @classmethod
    def parse(cls, argument: str, context: FusionContext) -> Self:
        """Return the fusion for one correlation, "0.4", or for one of each exit; without any, for 0.9 down to 0.5."""
        if not argument:
            steps = np.linspace(FIRST, LAST, context.exits) if context.exits > 1 else [LAST]
            return cls(context.prior, tuple(round(float(each), 3) for each in steps))
        numbers = tuple(map(float, argument.split(","))) if _NUMBERS.fullmatch(argument) else ()
        if len(numbers) not in {1, context.exits}:
            raise UsageError(
                f"fusion evidence:{argument[:40]}: write evidence:0.4, the correlation of views, 0..1, or one for each"
                f" of the model's {context.exits} exits, with commas between"
            )
        return cls(context.prior, numbers * context.exits if len(numbers) == 1 else numbers)
