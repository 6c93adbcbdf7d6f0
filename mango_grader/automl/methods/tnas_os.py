"""TNAS-OS (Yan et al. 2021, §4.2): one-shot search whose paths come more and more from a VAE of good architectures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np

from mango_grader.automl.architecture import Architecture
from mango_grader.automl.evaluate import Score
from mango_grader.automl.limits import Constraint
from mango_grader.automl.methods.base import SPOS_WEIGHTS, MethodSettings, Phase, Round, SearchMethod
from mango_grader.automl.samplers import VAE_TRIES, Evolution, EvolutionSettings, VaeSampler, VaeSettings, distinct
from mango_grader.automl.search_space import SearchSpace
from mango_grader.automl.supernet import Gates, gates_of
from mango_grader.ranges import BelowOne, Count, CountOrNone, Share
from mango_grader.training.recipe import WeightRecipe


@dataclass(frozen=True)
class TnasOsSettings(MethodSettings):
    """The published values where there are any; for the shared weights and evolution, those of SPOS.

    Attributes:
        epochs: of the shared weights, 1 or more; 300, as the one-shot baseline of Table 4.
        epsilon_step: ε_inc, in [0, 1]. The paper studies 0, 0.04, 0.05, 0.0625, 0.1, 0.2 and 0.5 (Table 4), of which
            0.1 has the best maximum accuracy on CIFAR-100 and the next best on ImageNet16-120.
        samples: scored after each epoch, 1 or more; unstated, ours.
        held_out: share of the training part, in [0, 1), that they are scored on.
        recalibration: training batches for each score's BatchNorm statistics, 0 or more, as in SPOS.
        vae: of the sampler.
        evolution: of the search at the end.
        weights: how the shared weights learn.
        fair: whether paths not drawn from the VAE train the candidates of a decision equally often by turns (FairNAS).
    """

    epochs: Count = 300
    epsilon_step: Share = 0.1
    samples: Count = 10
    held_out: BelowOne = 0.04
    recalibration: CountOrNone = 20
    vae: VaeSettings = VaeSettings()
    evolution: EvolutionSettings = EvolutionSettings()
    weights: WeightRecipe = SPOS_WEIGHTS
    fair: bool = False

    @property
    def scores(self) -> int:
        """The samples of all epochs, and those of evolution."""
        return self.epochs * self.samples + self.evolution.scores

    def scaled(self, effort: float) -> Self:
        """Return settings that take about `effort` times as long to search with; ε reaches 1 in the same share of it.

        An ε_inc of 0 stays 0.
        """
        shorter = super().scaled(effort)
        step = min(1.0, self.epsilon_step * self.epochs / shorter.epochs)
        return replace(shorter, epsilon_step=step, evolution=self.evolution.scaled(effort))


class TnasOs(SearchMethod):
    """Paths from Γ(a) = (1 − ε)·U(a) + ε·p_θ(a|z) (Eq. 11), then evolution from a first generation drawn from p_θ.

    Our reading of what the paper leaves open: after each epoch some feasible draws from Γ are scored on the held-out
    images (Eq. 1: the distribution learns from its own last draws); before the next one the VAE is fitted on the best
    scored so far, and ε = min(1, ε + ε_inc).
    """

    name: ClassVar[str] = "tnas-os"
    default_space: ClassVar[str] = "shufflenet"
    settings_type = TnasOsSettings
    settings: TnasOsSettings
    paper: ClassVar[str] = "Yan et al. 2021, TNAS: NAS sampling module based on a variational auto-encoder"

    def __init__(self, space: SearchSpace, feasible: Constraint, settings: TnasOsSettings | None = None) -> None:
        super().__init__(space, feasible, settings)
        self.sampler = VaeSampler(space, self.settings.vae)
        self.epsilon = 0.0

    def schedule(self, steps_per_epoch: int) -> Sequence[Round]:
        """Each epoch refits the VAE on what the last one scored, then trains weights."""
        return (Round((Phase("refit", 1), Phase("weights", steps_per_epoch))),) * self.settings.epochs

    def propose(self, rng: np.random.Generator, count: int) -> list[Architecture]:
        """Return `count` draws from Γ."""
        learned = int(rng.binomial(count, self.epsilon))
        return self.sampler.ask(rng, learned) + [self.space.sample(rng) for _ in range(count - learned)]

    def gates(self, rng: np.random.Generator) -> Gates:
        """Open one draw from Γ."""
        learned = rng.random() < self.epsilon
        path = self.sampler.ask(rng, 1)[0] if learned else self.even_path(rng)
        return gates_of(path, self.space.decisions)

    def refit(self, rng: np.random.Generator) -> Mapping[str, float]:
        """Fit the VAE and raise ε, once something has been scored."""
        figures = self.sampler.fit()
        if not figures:
            return {}
        self.epsilon = min(1.0, self.epsilon + self.settings.epsilon_step)
        return {**figures, "epsilon": self.epsilon}

    def end_epoch(self, score: Score, rng: np.random.Generator) -> None:
        """Score some feasible draws from Γ for the next fit."""
        drawn = distinct(lambda: self.propose(rng, 1)[0], self.settings.samples, self.feasible, tries=VAE_TRIES)
        self.sampler.remember([(found, score(found)) for found in drawn])

    def finish(self, score: Score, rng: np.random.Generator) -> Architecture:
        """Refit once more, and return the best that evolution finds from a first generation drawn from p_θ."""
        self.refit(rng)
        return Evolution(self.space, self.feasible, self.settings.evolution, self.sampler).run(score, rng)

    def state_dict(self) -> dict[str, Any]:
        """Return the VAE with its archive, and ε."""
        return {**super().state_dict(), "sampler": self.sampler.state_dict(), "epsilon": self.epsilon}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over what `state_dict` returned."""
        super().load_state_dict(state)
        self.sampler.load_state_dict(state["sampler"])
        self.epsilon = state["epsilon"]
