"""What methods with binary gates have in common: the gates, what they propose, and the weight of the cost."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from mango_grader.automl.architecture import Architecture
from mango_grader.automl.evaluate import Score
from mango_grader.automl.limits import Constraint
from mango_grader.automl.methods.base import MethodSettings, SearchMethod
from mango_grader.automl.relaxations.binary_gates import BinaryGates, BinaryGateSettings
from mango_grader.automl.relaxations.rounding import nearest_feasible
from mango_grader.automl.search_space import SearchSpace


@dataclass(frozen=True)
class GatedSettings(MethodSettings, ABC):
    """Base of the settings of a method with binary gates; a subclass declares the field `binary`, too."""

    @property
    @abstractmethod
    def binary(self) -> BinaryGateSettings:
        """How the gates learn."""

    @property
    def weighs_cost(self) -> bool:
        """Whether α descends the expected cost, too."""
        return self.binary.cost_weight > 0

    @property
    def cost_setting(self) -> str:
        """The weight of the expected cost."""
        return "binary.cost_weight=0.1"


def check_warmup(warmup: int, epochs: int) -> None:
    """Raise ValueError where the warm-up is longer than what it is a part of.

    Args:
        warmup: epochs.
        epochs: in all.
    """
    if warmup > epochs:
        raise ValueError(f"warmup must be at most epochs, {epochs}, of which it is a part, not {warmup}")


class GatedMethod(SearchMethod):
    """A method that proposes by its gates' probabilities, and whose result has the largest logits.

    Where limits forbid that one, the result is the nearest feasible architecture.

    Attributes:
        binary: the gates.
    """

    exact: ClassVar[bool] = True
    settings: GatedSettings

    def __init__(self, space: SearchSpace, feasible: Constraint, settings: GatedSettings | None = None) -> None:
        super().__init__(space, feasible, settings)
        self.binary = BinaryGates(space, self.settings.binary)

    def propose(self, rng: np.random.Generator, count: int) -> list[Architecture]:
        """Return `count` draws by the gates' probabilities."""
        return [self.binary.sample(rng) for _ in range(count)]

    def finish(self, score: Score, rng: np.random.Generator) -> Architecture:
        """Return the feasible architecture of the largest logits."""
        return nearest_feasible(self.space, self.binary.scores(), self.feasible, rng)

    def reach(self, steps: int) -> float:
        """Return what the largest gap of logits that Adam makes in so many steps decides."""
        return self.binary.reach(steps)

    def preference(self) -> dict[str, NDArray[np.float64]]:
        """Return the gates' probabilities, 0 for what was dropped."""
        return self.binary.preference()
