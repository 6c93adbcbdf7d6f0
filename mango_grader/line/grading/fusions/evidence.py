"""The fusion that adds up what the views tell, as far as they tell different things."""

import re
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from mango_grader.errors import UsageError
from mango_grader.line.grading.fusions.base import FusionContext

CORRELATION = 0.5
"""Correlation of the views of one fruit, unless it was fitted."""
LEAST = 1e-6
"""No view excludes a class by more than this: one view alone must not outweigh all others."""

_NUMBER = re.compile(r"(?:0?\.\d{1,9}|[01](?:\.0{0,9})?|0)", re.ASCII)


@dataclass(frozen=True)
class Pooled:
    """The sum of the log-odds of all views relative to the prior, divided by how much the views repeat each other.

    V views whose errors have the correlation r are worth V / (1 + (V − 1) r) independent ones, so the sum is divided
    by 1 + (V − 1) r. With r = 0 the views are independent and their evidence adds up, with r = 1 they all say the same
    and the answer is their mean. A view that is at least r times as sure as the answer so far makes it surer; views
    that say the same never make it less sure. `fit_correlation` finds r from fruit whose grades are known.

    Source: Kish, Survey Sampling (1965), §5.4, the design effect of clusters; Clemen & Winkler, Limits for the
    Precision and Value of Information from Dependent Sources (Operations Research 1985).

    Attributes:
        prior: (C,), of the classes.
        correlation: r, 0..1.
    """

    form: ClassVar[str] = "evidence[:CORRELATION]"
    prior: tuple[float, ...]
    correlation: float = CORRELATION

    def combine(self, views: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the probabilities of all that the views tell."""
        prior = np.log(self.prior)
        evidence = np.log(np.maximum(views, LEAST)) - prior
        total = prior + evidence.sum(axis=0) / (1 + (len(views) - 1) * self.correlation)
        return np.asarray(np.exp(total - total.max()))

    def __str__(self) -> str:
        return f"evidence:{self.correlation:.9g}"

    @classmethod
    def parse(cls, argument: str, context: FusionContext) -> Self:
        """Return the fusion for a correlation, "0.4"; without one, it is 0.5."""
        if argument and _NUMBER.fullmatch(argument) is None:
            raise UsageError(f"fusion evidence:{argument[:40]}: write evidence:0.4, the correlation of views, 0..1")
        return cls(context.prior, float(argument) if argument else CORRELATION)
