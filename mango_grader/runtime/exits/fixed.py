"""Exit policies that look at nothing: every image goes to the same exit."""

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from mango_grader.errors import UsageError
from mango_grader.runtime.exits.base import DependsOn, PolicyContext, Reached


@dataclass(frozen=True)
class Full:
    """Every image goes to the last exit."""

    form: ClassVar[str] = "full"
    depends_on: ClassVar[DependsOn] = "nothing"

    def settled(self, reached: Reached) -> NDArray[np.bool_]:
        """Return False for all images."""
        return np.zeros(reached.probabilities.shape[1], np.bool_)

    def __str__(self) -> str:
        return "full"

    @classmethod
    def parse(cls, argument: str, context: PolicyContext) -> Self:
        """Return the policy; it takes no argument."""
        if argument:
            raise UsageError("policy full takes no number")
        return cls()


@dataclass(frozen=True)
class ExitAt:
    """Every image stops at one exit.

    Attributes:
        index: of the exit, from 0.
    """

    form: ClassVar[str] = "exit:K"
    depends_on: ClassVar[DependsOn] = "nothing"
    index: int

    def settled(self, reached: Reached) -> NDArray[np.bool_]:
        """Return True for all images from exit `index` on."""
        return np.full(reached.probabilities.shape[1], reached.exit_index >= self.index, np.bool_)

    def __str__(self) -> str:
        return f"exit:{self.index + 1}"

    @classmethod
    def parse(cls, argument: str, context: PolicyContext) -> Self:
        """Return the policy for the number of an exit, from 1."""
        if argument not in map(str, range(1, context.exits + 1)):
            raise UsageError(f"policy exit:{argument[:20]}: this model has exits 1 to {context.exits}")
        return cls(int(argument) - 1)
