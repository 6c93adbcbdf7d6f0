"""The fusion that takes the mean of the probabilities."""

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from mango_grader.errors import UsageError
from mango_grader.line.grading.fusions.base import FusionContext


@dataclass(frozen=True)
class Mean:
    """The mean of the probabilities of all views.

    It is never surer than its surest view, and a defect that one of eight views shows is outweighed by seven others.
    """

    form: ClassVar[str] = "mean"

    def combine(self, views: NDArray[np.float64], exit_number: int) -> NDArray[np.float64]:
        """Return the mean."""
        mean: NDArray[np.float64] = views.mean(axis=0)
        return mean

    def __str__(self) -> str:
        return "mean"

    @classmethod
    def parse(cls, argument: str, context: FusionContext) -> Self:
        """Return the fusion; it takes no argument."""
        if argument:
            raise UsageError("fusion mean takes no argument")
        return cls()
