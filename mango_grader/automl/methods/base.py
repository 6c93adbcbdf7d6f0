"""The interface of every search method: it plans, opens gates and learns; the loop does everything else."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol, Self

import numpy as np
from torch import Tensor

from mango_grader.automl.architecture import Architecture
from mango_grader.automl.cost import CostModel
from mango_grader.automl.evaluate import Score
from mango_grader.automl.gates import Gates
from mango_grader.automl.objective import Objective
from mango_grader.automl.spaces import SearchSpace
from mango_grader.automl.supernet import Supernet
from mango_grader.training.batches import Batch
from mango_grader.training.recipe import WeightRecipe

Admits = Callable[[Architecture], bool]


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


@dataclass(frozen=True)
class ArchStep:
    """What one architecture step may use.

    net and the batches are None where a table stands for the super net. training and held_out are disjoint in groups.
    rates: learning rates of the shared weights, by parameter group. virtual_step returns the parameters after one
    optimiser step on `training` under given gates, for `torch.func.functional_call`; buffers are not touched.
    score: the objective on this step's held-out mini-batch.
    """

    objective: Objective
    cost: CostModel
    score: Score
    rng: np.random.Generator
    net: Supernet | None = None
    training: Batch | None = None
    held_out: Batch | None = None
    rates: tuple[float, ...] = ()
    virtual_step: Callable[[Gates], dict[str, Tensor]] | None = None


class MethodSettings(Protocol):
    """The frozen settings of a method."""

    @property
    def samples(self) -> int:
        """How many full held-out scores `finish` takes."""

    def scaled(self, effort: float) -> Self:
        """Return settings that take about `effort` times as long to search with."""


class SearchMethod(ABC):
    """One way to search a space. A subclass is one module; it does no input or output.

    name: on the command line. paper: where it was published. settings_type: a frozen dataclass of its settings, whose
    defaults are the published values. recipe: how the shared weights learn. held_out: share of the training part, by
    group, that only the architecture sees.
    """

    name: ClassVar[str]
    paper: ClassVar[str]
    settings_type: ClassVar[type[MethodSettings]]
    recipe: WeightRecipe
    held_out: float

    def __init__(self, space: SearchSpace, admits: Admits, settings: Any = None) -> None:
        self.space = space
        self.admits = admits  # whether an architecture obeys the user's limits

    @abstractmethod
    def plan(self, steps_per_epoch: int) -> Sequence[Round]:
        """Return the whole schedule; `steps_per_epoch` weight steps see the training part once."""

    @abstractmethod
    def gates(self, rng: np.random.Generator) -> Gates:
        """Return what to open in the next weight step."""

    def update(self, step: ArchStep) -> Mapping[str, float]:
        """Learn from one architecture step; returns figures worth recording."""
        return {}

    def end_epoch(self, score: Score) -> None:
        """Hear that a round is over; `score` is the objective on all held-out data."""

    @abstractmethod
    def finish(self, score: Score, rng: np.random.Generator) -> Architecture:
        """Return the result, one that `admits` accepts; raises NoneAdmittedError where there is none."""

    def state_dict(self) -> dict[str, Any]:
        """Return everything that a resumed run needs: plain data and tensors."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over what `state_dict` returned."""
