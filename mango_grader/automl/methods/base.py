"""The interface of every search method: it states a schedule, opens gates and learns; the loop does everything else."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from mango_grader.automl.architecture import Architecture
from mango_grader.automl.evaluate import Score
from mango_grader.automl.limits import Constraint
from mango_grader.automl.search_space import SearchSpace
from mango_grader.automl.shared import ArchStep
from mango_grader.automl.spaces import SpaceConfig
from mango_grader.automl.supernet import Gates
from mango_grader.training.recipe import WeightRecipe

PREFERENCE_DRAWS = 256
"""How many draws stand for a sampler where its preference is asked for."""


@dataclass(frozen=True)
class Phase:
    """`steps` steps in a row on the shared weights, on the architecture, or on refitting a sampler."""

    kind: Literal["weights", "architecture", "refit"]
    steps: int


@dataclass(frozen=True)
class Round:
    """Phases taken in turn, `repeat` times over; after it comes `end_epoch`, and a run can be resumed."""

    phases: tuple[Phase, ...]
    repeat: int = 1

    def steps(self) -> Iterator[Literal["weights", "architecture", "refit"]]:
        """Yield the kind of each step, in order."""
        for _ in range(self.repeat):
            for phase in self.phases:
                for _ in range(phase.steps):
                    yield phase.kind


class MethodSettings(Protocol):
    """The frozen settings of a method."""

    @property
    def held_out(self) -> float:
        """The share of the training part, in [0, 1), that only the architecture sees."""

    @property
    def scores(self) -> int:
        """How many full held-out scores the whole search takes, at most."""

    def scaled(self, effort: float) -> Self:
        """Return settings that take about `effort` times as long to search with, as short as can be for 0."""


class SearchMethod(ABC):
    """One way to search a space. A subclass is one module; it does no input or output.

    Attributes:
        name: what `--method` and checkpoints call the method.
        paper: where it was published.
        default_space: kind of the space that it searches where none is named: that of its paper.
        settings_type: frozen dataclass of its settings, whose defaults are the published values.
        fits_width: whether the paper searches without regard to a limit, and then widens or narrows the result to it.
        recipe: how the shared weights learn.
        held_out: share of the training part, in [0, 1), by group, that only the architecture sees; 0 shows all of the
            part to weights and architecture alike.
        recalibration: number of training batches from which BatchNorm statistics are taken anew for each full score;
            0 normalises by the held-out batch itself.
    """

    name: ClassVar[str]
    paper: ClassVar[str]
    default_space: ClassVar[str]
    settings_type: ClassVar[type[MethodSettings]]
    fits_width: ClassVar[bool] = False
    recipe: WeightRecipe
    held_out: float
    recalibration: int = 0

    def __init__(self, space: SearchSpace, feasible: Constraint, settings: Any = None) -> None:
        self.space = space
        self.feasible = feasible  # whether an architecture obeys the user's limits

    @classmethod
    def check_space(cls, config: SpaceConfig) -> str | None:
        """Return in one sentence why the method cannot search this space; None where it can."""
        return None

    @abstractmethod
    def schedule(self, steps_per_epoch: int) -> Sequence[Round]:
        """Return the whole schedule; `steps_per_epoch` weight steps see the training part once."""

    @abstractmethod
    def gates(self, rng: np.random.Generator) -> Gates:
        """Return what to open in the next weight step."""

    def update(self, step: ArchStep) -> Mapping[str, float]:
        """Learn from one architecture step; returns figures worth recording."""
        return {}

    def refit(self, rng: np.random.Generator) -> Mapping[str, float]:
        """Take one refit step on what was scored so far; returns figures worth recording."""
        return {}

    def end_epoch(self, score: Score, rng: np.random.Generator) -> None:
        """Hear that a round is over; `score` is the objective on all held-out data."""

    @abstractmethod
    def finish(self, score: Score, rng: np.random.Generator) -> Architecture:
        """Return the result, one that `feasible` accepts; raises InfeasibleError where there is none."""

    @abstractmethod
    def preference(self) -> dict[str, NDArray[np.float64]]:
        """Return how likely each candidate is to be chosen as things stand, in [0, 1], (candidates,) per decision."""

    def state_dict(self) -> dict[str, Any]:
        """Return everything that a resumed run needs: plain data and tensors."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over what `state_dict` returned."""
