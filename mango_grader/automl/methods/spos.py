"""SPOS (Guo et al. 2019): uniform single paths train the shared weights, then evolution picks."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from mango_grader.automl.architecture import Architecture
from mango_grader.automl.evaluate import Score
from mango_grader.automl.limits import Constraint
from mango_grader.automl.methods.base import PREFERENCE_DRAWS, Phase, Round, SearchMethod
from mango_grader.automl.samplers import Evolution, EvolutionSettings
from mango_grader.automl.search_space import SearchSpace
from mango_grader.automl.supernet import Gates, gates_of
from mango_grader.ranges import BelowOne, Count, CountOrNone, Ranged
from mango_grader.training.recipe import WeightRecipe


@dataclass(frozen=True)
class SposSettings(Ranged):
    """The published values (§4).

    epochs: of the shared weights, a uniform path per batch. held_out: share of the training part that evolution scores
    on (50,000 of ImageNet's images). recalibration: training batches that give each candidate its BatchNorm statistics;
    20 of the paper's 1,024 images are its 20,000. weights: for that batch; our schedule is a cosine, not a line.
    """

    epochs: Count = 120
    held_out: BelowOne = 0.04
    recalibration: CountOrNone = 20
    evolution: EvolutionSettings = EvolutionSettings()
    weights: WeightRecipe = WeightRecipe(optimiser="sgd", lr=0.5, momentum=0.9, weight_decay=4e-5, decay_norms=False)

    @property
    def scores(self) -> int:
        """Those of evolution."""
        return self.evolution.scores

    def scaled(self, effort: float) -> Self:
        """Return settings that take about `effort` times as long to search with; a score costs what it did."""
        return replace(self, epochs=max(1, round(self.epochs * effort)), evolution=self.evolution.scaled(effort))


class Spos(SearchMethod):
    """Weights first, with no preference between paths (§3.2); evolution under the limits afterwards (§3.4)."""

    name: ClassVar[str] = "spos"
    default_space: ClassVar[str] = "shufflenet"
    settings_type = SposSettings
    paper: ClassVar[str] = "Guo et al. 2019, single path one-shot NAS with uniform sampling"

    def __init__(self, space: SearchSpace, feasible: Constraint, settings: SposSettings | None = None) -> None:
        super().__init__(space, feasible)
        self.settings = settings or SposSettings()
        self.recipe, self.held_out = self.settings.weights, self.settings.held_out
        self.recalibration = self.settings.recalibration

    def schedule(self, steps_per_epoch: int) -> Sequence[Round]:
        """Weight epochs only."""
        return (Round((Phase("weights", steps_per_epoch),)),) * self.settings.epochs

    def gates(self, rng: np.random.Generator) -> Gates:
        """Open one uniform path."""
        return gates_of(self.space.sample(rng), self.space.decisions)

    def finish(self, score: Score, rng: np.random.Generator) -> Architecture:
        """Return the best that evolution finds, its first generation uniform."""
        return Evolution(self.space, self.feasible, self.settings.evolution).run(score, rng)

    def preference(self) -> dict[str, NDArray[np.float64]]:
        """Return how often uniform draws choose each candidate: nothing is preferred before the end."""
        rng = np.random.default_rng(0)
        return self.space.frequencies([self.space.sample(rng) for _ in range(PREFERENCE_DRAWS)])
