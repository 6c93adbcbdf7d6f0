"""The decision rule that answers the most probable class."""

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from mango_grader.errors import UsageError
from mango_grader.runtime.decisions.base import Decisions, RuleContext, stopped
from mango_grader.runtime.exits import ExitPolicy


@dataclass(frozen=True)
class Argmax:
    """Answers the most probable class, and never asks a person."""

    form: ClassVar[str] = "argmax"

    def decide(self, history: NDArray[np.floating], exits: NDArray[np.integer]) -> Decisions:
        """Return the most probable class of each image."""
        return Decisions(stopped(history, exits).argmax(axis=1))

    def under(self, policy: ExitPolicy) -> Self:
        """Return the rule as it is: it holds whatever stops an image."""
        return self

    def __str__(self) -> str:
        return "argmax"

    @classmethod
    def parse(cls, argument: str, context: RuleContext) -> Self:
        """Return the rule; it takes no argument."""
        if argument:
            raise UsageError("decision rule argmax takes no argument")
        return cls()
