"""The fusion by which most views win."""

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from mango_grader.errors import UsageError
from mango_grader.line.grading.fusions.base import FusionContext


@dataclass(frozen=True)
class Vote:
    """The class that most views find most probable; of several such classes, the one of the greatest mean probability.

    The probabilities are the mean of those of the views that agree on it, so they say nothing of how many do not.
    """

    form: ClassVar[str] = "vote"

    def combine(self, views: NDArray[np.float64], exit_number: int) -> NDArray[np.float64]:
        """Return the mean of the views that give the class that most of them give."""
        given = views.argmax(axis=1)
        votes = np.bincount(given, minlength=views.shape[1])
        winner = np.where(votes == votes.max(), views.mean(axis=0), -1.0).argmax()
        mean: NDArray[np.float64] = views[given == winner].mean(axis=0)
        return mean

    def __str__(self) -> str:
        return "vote"

    @classmethod
    def parse(cls, argument: str, context: FusionContext) -> Self:
        """Return the fusion; it takes no argument."""
        if argument:
            raise UsageError("fusion vote takes no argument")
        return cls()
