"""Uniform random search on shared weights: the baseline that every method must beat."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from mango_grader.automl.architecture import Architecture
from mango_grader.automl.evaluate import Score
from mango_grader.automl.limits import Constraint
from mango_grader.automl.methods.base import PREFERENCE_DRAWS, Phase, Round, SearchMethod
from mango_grader.automl.samplers import UniformSampler
from mango_grader.automl.search_space import SearchSpace
from mango_grader.automl.supernet import Gates, gates_of
from mango_grader.ranges import BelowOne, Count, Ranged
from mango_grader.training.recipe import WeightRecipe


@dataclass(frozen=True)
class RandomSettings(Ranged):
    """epochs: of the shared weights, a uniform path per batch. samples: scored at the end, of which the best wins."""

    epochs: Count = 100
    samples: Count = 100
    held_out: BelowOne = 0.2
    weights: WeightRecipe = WeightRecipe(optimiser="sgd", lr=0.01, momentum=0.9, weight_decay=5e-4, clip=5.0)

    @property
    def scores(self) -> int:
        """One for each sample."""
        return self.samples

    def scaled(self, effort: float) -> Self:
        """Return settings that take about `effort` times as long to search with."""
        return replace(self, epochs=max(1, round(self.epochs * effort)), samples=max(1, round(self.samples * effort)))


class RandomSearch(SearchMethod):
    """Best of n uniform samples (Li & Talwalkar, Random search and reproducibility for NAS, 2019, §3)."""

    name: ClassVar[str] = "random"
    default_space: ClassVar[str] = "dag"  # no paper's own: where it found the best networks (docs/evidence.md)
    settings_type = RandomSettings
    paper: ClassVar[str] = "Li & Talwalkar 2019, random search with weight sharing"

    def __init__(self, space: SearchSpace, feasible: Constraint, settings: RandomSettings | None = None) -> None:
        super().__init__(space, feasible)
        self.settings = settings or RandomSettings()
        self.recipe, self.held_out = self.settings.weights, self.settings.held_out
        self._sampler = UniformSampler(space, feasible)

    def schedule(self, steps_per_epoch: int) -> Sequence[Round]:
        """Weight epochs only."""
        return (Round((Phase("weights", steps_per_epoch),)),) * self.settings.epochs

    def gates(self, rng: np.random.Generator) -> Gates:
        """Open one uniform path."""
        return gates_of(self.space.sample(rng), self.space.decisions)

    def finish(self, score: Score, rng: np.random.Generator) -> Architecture:
        """Return the best scored of `samples` uniform draws within the limits; the first of equals."""
        return max(self._sampler.ask(rng, self.settings.samples), key=score)

    def preference(self) -> dict[str, NDArray[np.float64]]:
        """Return how often uniform draws choose each candidate."""
        return self.space.frequencies(self._sampler.ask(np.random.default_rng(0), PREFERENCE_DRAWS))
