"""SPOS (Guo et al. 2019): uniform single paths train the shared weights, then evolution picks."""

from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np

from mango_grader.automl.architecture import Architecture
from mango_grader.automl.evaluate import Score
from mango_grader.automl.methods.base import SPOS_WEIGHTS, MethodSettings, SearchMethod
from mango_grader.automl.movement import Movement, Preference
from mango_grader.automl.samplers import Evolution, EvolutionSettings
from mango_grader.ranges import BelowOne, Count, CountOrNone
from mango_grader.training.recipe import WeightRecipe


@dataclass(frozen=True)
class SposSettings(MethodSettings):
    """The published values (§4).

    Attributes:
        epochs: of the shared weights, an even path per batch; 1 or more.
        held_out: share of the training part, in [0, 1), that evolution scores on (50,000 of ImageNet's images).
        recalibration: training batches that give each candidate its BatchNorm statistics, 0 or more; 20 of the paper's
            1,024 images are its 20,000.
        evolution: of the search at the end.
        weights: how the shared weights learn.
        fair: whether paths train the candidates of a decision equally often by turns (FairNAS), not by chance.
    """

    epochs: Count = 120
    held_out: BelowOne = 0.04
    recalibration: CountOrNone = 20
    evolution: EvolutionSettings = EvolutionSettings()
    weights: WeightRecipe = SPOS_WEIGHTS
    fair: bool = False

    @property
    def scores(self) -> int:
        """Those of evolution."""
        return self.evolution.scores

    def scaled(self, effort: float) -> Self:
        """Return settings that take about `effort` times as long to search with; a score costs what it did."""
        return replace(super().scaled(effort), evolution=self.evolution.scaled(effort))


class Spos(SearchMethod):
    """Weights first, with no preference between paths (§3.2); evolution under the limits afterwards (§3.4)."""

    name: ClassVar[str] = "spos"
    default_space: ClassVar[str] = "shufflenet"
    settings_type = SposSettings
    settings: SposSettings
    paper: ClassVar[str] = "Guo et al. 2019, single path one-shot NAS with uniform sampling"

    def finish(self, score: Score, rng: np.random.Generator) -> Architecture:
        """Return the best that evolution finds, its first generation uniform."""
        return Evolution(self.space, self.feasible, self.settings.evolution).run(score, rng)

    def movement(self, before: Preference) -> Movement:
        """Return nothing: it prefers no candidate, and what moved is how far scores lie apart."""
        return Movement()
