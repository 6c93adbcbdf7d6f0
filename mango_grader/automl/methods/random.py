"""Uniform random search on shared weights: the baseline that every method must beat."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from mango_grader.automl.architecture import Architecture
from mango_grader.automl.evaluate import Score
from mango_grader.automl.methods.base import PREFERENCE_DRAWS, MethodSettings, SearchMethod
from mango_grader.automl.movement import Movement, Preference
from mango_grader.automl.samplers import UniformSampler
from mango_grader.ranges import BelowOne, Count
from mango_grader.training.recipe import WeightRecipe


@dataclass(frozen=True)
class RandomSettings(MethodSettings):
    """Ours; the budget is what the other methods are compared at.

    Attributes:
        epochs: of the shared weights, an even path per batch; 1 or more.
        samples: drawn and scored at the end, of which the best wins; 1 or more.
        held_out: share of the training part, in [0, 1), that the samples are scored on.
        weights: how the shared weights learn.
        fair: whether paths train the candidates of a decision equally often by turns (FairNAS), not by chance.
    """

    lengths: ClassVar[tuple[str, ...]] = ("epochs", "samples")
    epochs: Count = 100
    samples: Count = 100
    held_out: BelowOne = 0.2
    weights: WeightRecipe = WeightRecipe(optimiser="sgd", lr=0.01, momentum=0.9, weight_decay=5e-4, clip=5.0)
    fair: bool = False

    @property
    def scores(self) -> int:
        """One for each sample."""
        return self.samples


class RandomSearch(SearchMethod):
    """Best of n uniform samples (Li & Talwalkar, Random search and reproducibility for NAS, 2019, §3)."""

    name: ClassVar[str] = "random"
    default_space: ClassVar[str] = "lite"  # no paper names one: it did best here (docs/explanation/evidence.md)
    settings_type = RandomSettings
    settings: RandomSettings
    paper: ClassVar[str] = "Li & Talwalkar 2019, random search with weight sharing"

    def finish(self, score: Score, rng: np.random.Generator) -> Architecture:
        """Return the best scored of `samples` feasible uniform draws; the first of equals."""
        return max(self._uniform.ask(rng, self.settings.samples), key=score)

    def preference(self) -> dict[str, NDArray[np.float64]]:
        """Return how often feasible uniform draws choose each candidate."""
        return self.space.frequencies(self._uniform.ask(np.random.default_rng(0), PREFERENCE_DRAWS))

    def movement(self, before: Preference) -> Movement:
        """Return nothing: it prefers no candidate, and what moved is how far scores lie apart."""
        return Movement()

    @property
    def _uniform(self) -> UniformSampler:
        return UniformSampler(self.space, self.feasible)
