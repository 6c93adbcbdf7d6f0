"""The interface of every search method: it states a schedule, opens gates and learns; the loop does everything else."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray

from mango_grader.automl.architecture import Architecture
from mango_grader.automl.evaluate import Score
from mango_grader.automl.limits import Constraint
from mango_grader.automl.movement import Movement, Preference, preference_moved
from mango_grader.automl.samplers.fair import FairPaths
from mango_grader.automl.search_space import SearchSpace
from mango_grader.automl.shared import ArchStep
from mango_grader.automl.spaces import SpaceConfig
from mango_grader.automl.supernet import Gates, gates_of
from mango_grader.ranges import Ranged, ranges_of
from mango_grader.training.recipe import WeightRecipe

PREFERENCE_DRAWS = 256
"""How many draws stand for a method where its preference is asked for."""
DARTS_WEIGHTS = WeightRecipe(optimiser="sgd", lr=0.025, final_lr=0.001, momentum=0.9, weight_decay=3e-4, clip=5.0)
"""How shared weights learn in DARTS (Liu et al. 2019, §3.1), whose values other papers take over."""
SPOS_WEIGHTS = WeightRecipe(optimiser="sgd", lr=0.5, momentum=0.9, weight_decay=4e-5, decay_norms=False)
"""How shared weights learn in SPOS (Guo et al. 2019, §4), for batches of 1,024 images; our schedule is a cosine."""


@dataclass(frozen=True)
class Phase:
    """Steps of one kind in a row.

    Attributes:
        kind: "weights" trains the shared weights, "architecture" calls `update`, "refit" fits a sampler.
        steps: how many, 0 or more.
    """

    kind: Literal["weights", "architecture", "refit"]
    steps: int


@dataclass(frozen=True)
class Round:
    """Phases taken in turn; after each round comes `end_epoch`, and a run can be resumed.

    Attributes:
        phases: in order.
        repeat: how many times over.
    """

    phases: tuple[Phase, ...]
    repeat: int = 1

    def steps(self) -> Iterator[Literal["weights", "architecture", "refit"]]:
        """Yield the kind of each step, in order."""
        for _ in range(self.repeat):
            for phase in self.phases:
                for _ in range(phase.steps):
                    yield phase.kind

    @property
    def kinds(self) -> str:
        """The kinds of its phases, each once, joined by "-": how history and timetable tell rounds apart."""
        return "-".join(dict.fromkeys(phase.kind for phase in self.phases))


def weight_epochs(count: int, steps_per_epoch: int) -> tuple[Round, ...]:
    """Return rounds in each of which the shared weights see the training part once.

    Args:
        count: how many, 0 or more.
        steps_per_epoch: weight steps in which the part is seen once.
    """
    return (Round((Phase("weights", steps_per_epoch),)),) * count


def interleaved(count: int, steps_per_epoch: int, interval: int) -> tuple[Round, ...]:
    """Return epochs in which one architecture step follows each `interval` weight steps.

    Args:
        count: how many, 0 or more.
        steps_per_epoch: weight steps in which the training part is seen once.
        interval: weight steps before an architecture step, 1 or more.
    """
    turns = max(1, steps_per_epoch // interval)
    return (Round((Phase("weights", steps_per_epoch // turns), Phase("architecture", 1)), repeat=turns),) * count


@dataclass(frozen=True)
class MethodSettings(Ranged, ABC):
    """Base of a method's settings: a frozen dataclass whose defaults are the published values.

    A subclass declares at least the fields `epochs`, `held_out` and `weights`, and may declare `recalibration` and
    `fair`.
    """

    lengths: ClassVar[tuple[str, ...]] = ("epochs",)
    """The settings that `scaled` multiplies, because a search's time grows with them."""

    @property
    @abstractmethod
    def epochs(self) -> int:
        """Epochs of the shared weights."""

    @property
    @abstractmethod
    def held_out(self) -> float:
        """Share of the training part, in [0, 1), by group, that only the architecture sees; 0 shows all to both."""

    @property
    @abstractmethod
    def weights(self) -> WeightRecipe:
        """How the shared weights learn."""

    @property
    def recalibration(self) -> int:
        """Training batches from which BatchNorm statistics are taken anew for each full score.

        0 normalises by the held-out batch itself.
        """
        return 0

    @property
    def fair(self) -> bool:
        """Whether even paths train the candidates of a decision equally often by turns (FairNAS), not by chance."""
        return False

    @property
    def scores(self) -> int:
        """How many full held-out scores the whole search takes, at most; none where the result is read off."""
        return 0

    @property
    def weighs_cost(self) -> bool:
        """Whether the search weighs what architectures cost against their answers, whatever the objective."""
        return False

    @property
    def cost_setting(self) -> str | None:
        """What would make the search weigh costs, as "name=value"; None if no setting does."""
        return None

    def scaled(self, effort: float) -> Self:
        """Return settings that take about `effort` times as long to search with, as short as can be for 0."""
        ranges = ranges_of(type(self))
        lengths: dict[str, Any] = {}
        for name in self.lengths:
            allowed = ranges[name]
            least = 0 if allowed is None else int(allowed.low)
            lengths[name] = max(least, round(getattr(self, name) * effort))
        return replace(self, **lengths)


class SearchMethod(ABC):
    """One way to search a space. A subclass is one module; it touches no modules of torch, and no files.

    All randomness comes from the generators that the loop hands in, and all that a resumed run needs is in
    `state_dict`, so that the same seed gives the same result, interrupted or not.

    Attributes:
        name: what `--method` and config.json call the method.
        paper: where it was published.
        default_space: kind of the space that it searches where none is named: that of its paper.
        settings_type: its settings, a frozen dataclass.
        fits_width: whether the paper searches without regard to a limit, and then widens or narrows the result to it.
        opens_one_path: whether a weight step opens one candidate path; a method that opens several at once does not.
        exact: whether `preference` returns probabilities themselves, and not how often draws chose.
        space: what is searched.
        feasible: whether an architecture may be the result.
        settings: how it searches.
        fair: draws the even paths of weight steps by turns; None draws them by chance.
    """

    name: ClassVar[str]
    paper: ClassVar[str]
    default_space: ClassVar[str]
    settings_type: ClassVar[type[MethodSettings]]
    fits_width: ClassVar[bool] = False
    opens_one_path: ClassVar[bool] = True
    exact: ClassVar[bool] = False
    settings: Any

    def __init__(self, space: SearchSpace, feasible: Constraint, settings: MethodSettings | None = None) -> None:
        self.space = space
        self.feasible = feasible
        self.settings = settings or self.settings_type()
        self.fair = FairPaths(space) if self.settings.fair else None

    @classmethod
    def check_space(cls, config: SpaceConfig) -> str | None:
        """Return in one sentence why the method cannot search this space; None where it can."""
        if not cls.opens_one_path and any(decision.probability != 0.5 for decision in config.decisions()):
            return "edge_probability must stay 0.5, since this method draws no paths but opens all connections at once"
        return None

    def schedule(self, steps_per_epoch: int) -> Sequence[Round]:
        """Return all rounds of the search: weight epochs only, unless the method says otherwise.

        Args:
            steps_per_epoch: weight steps in which the training part is seen once.
        """
        return weight_epochs(self.settings.epochs, steps_per_epoch)

    def propose(self, rng: np.random.Generator, count: int) -> list[Architecture]:
        """Return `count` draws from what the method prefers so far: even ones, unless it learns better."""
        return [self.space.sample(rng) for _ in range(count)]

    def gates(self, rng: np.random.Generator) -> Gates:
        """Return what to open in the next weight step: one proposed path, unless the method says otherwise."""
        path = self.even_path(rng) if self.fair else self.propose(rng, 1)[0]
        return gates_of(path, self.space.decisions)

    def even_path(self, rng: np.random.Generator) -> Architecture:
        """Return an even path for a weight step, by turns where the settings are `fair`."""
        return self.fair.draw(rng) if self.fair else self.space.sample(rng)

    def update(self, step: ArchStep) -> Mapping[str, Any]:
        """Learn from one architecture step.

        Args:
            step: what the method may use: the objective, costs, scores, and losses of the super net.

        Returns:
            Figures worth recording, by name.
        """
        return {}

    def refit(self, rng: np.random.Generator) -> Mapping[str, float]:
        """Take one refit step on what was scored so far; return figures worth recording, by name."""
        return {}

    def end_epoch(self, score: Score, rng: np.random.Generator) -> None:
        """Do what comes after each round.

        Args:
            score: the objective of an architecture on all held-out data.
            rng: for draws.
        """

    @abstractmethod
    def finish(self, score: Score, rng: np.random.Generator) -> Architecture:
        """Return the result, a feasible one.

        Args:
            score: the objective of an architecture on all held-out data.
            rng: for draws.

        Raises:
            InfeasibleError: no feasible architecture was found.
        """

    def preference(self) -> dict[str, NDArray[np.float64]]:
        """Return how likely each candidate is to be chosen as things stand, in [0, 1], (candidates,) per decision."""
        return self.space.frequencies(self.propose(np.random.default_rng(0), PREFERENCE_DRAWS))

    def movement(self, before: Preference) -> Movement:
        """Return what the search has changed so far: how far its preference has moved, and what else the method counts.

        Args:
            before: what `preference` returned before the first step.
        """
        return preference_moved(
            self.space.decisions, before, self.preference(), None if self.exact else PREFERENCE_DRAWS
        )

    def reach(self, steps: int) -> float:
        """Return how much of what is open so many architecture steps can decide at most, in [0, 1].

        It is counted as in `Movement.decided`, and compared with `LEAST` before the search starts. 1 where the number
        of steps sets no bound, unless the method says otherwise.

        Args:
            steps: 0 or more.
        """
        return 1.0

    def state_dict(self) -> dict[str, Any]:
        """Return everything that a resumed run needs: plain data and tensors."""
        return {"fair": self.fair.state_dict()} if self.fair else {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over what `state_dict` returned."""
        if self.fair:
            self.fair.load_state_dict(state["fair"])
