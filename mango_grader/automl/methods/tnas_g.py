"""TNAS-G (Yan et al. 2021, §4.3): gradient-based search whose paths come from a VAE of good architectures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from mango_grader.automl.architecture import Architecture
from mango_grader.automl.evaluate import Score
from mango_grader.automl.limits import Constraint
from mango_grader.automl.methods.base import DARTS_WEIGHTS, Phase, Round, SearchMethod, weight_epochs
from mango_grader.automl.methods.gated import GatedSettings, check_warmup
from mango_grader.automl.relaxations.binary_gates import BinaryGates, BinaryGateSettings
from mango_grader.automl.relaxations.rounding import nearest_feasible
from mango_grader.automl.samplers import VAE_TRIES, VaeSampler, VaeSettings, distinct
from mango_grader.automl.search_space import SearchSpace
from mango_grader.automl.shared import ArchStep
from mango_grader.automl.supernet import Gates, gates_of
from mango_grader.ranges import BelowOne, Count, CountOrNone, Share
from mango_grader.training.recipe import WeightRecipe


@dataclass(frozen=True)
class TnasGSettings(GatedSettings):
    """The paper states no values for this variant (§4.3, §5.1).

    Its space and its weights are those of DARTS, whose values are taken here (50 epochs on half of the data); α learns
    as in ProxylessNAS, whose multinomial it is: Adam at 0.006, no cost. `samples` and `from_alpha` are ours.

    Attributes:
        epochs: in all, 1 or more; of weights and α in turn but for the warm-up.
        warmup: of these, the first that train weights alone, on even paths, at most `epochs`. The paper has none;
            without it the first few random scores decide which candidates are trained much.
        held_out: share of the training part, in [0, 1), that α learns and samples are scored on.
        samples: scored after each epoch and once more at the end, 1 or more.
        from_alpha: share, in [0, 1], of an epoch's samples that α proposes, the rest being the VAE's.
        vae: of the sampler.
        binary: of α.
        weights: how the shared weights learn.
        fair: whether even paths train the candidates of a decision equally often by turns (FairNAS), not by chance.

    Raises:
        RangeError: a value is out of range.
        ValueError: there are more warm-up epochs than epochs.
    """

    lengths: ClassVar[tuple[str, ...]] = ("epochs", "warmup")
    epochs: Count = 50
    warmup: CountOrNone = 0
    held_out: BelowOne = 0.5
    samples: Count = 10
    from_alpha: Share = 0.5
    vae: VaeSettings = VaeSettings()
    binary: BinaryGateSettings = BinaryGateSettings(lr=6e-3, cost_weight=0.0)
    weights: WeightRecipe = DARTS_WEIGHTS
    fair: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_warmup(self.warmup, self.epochs)

    @property
    def scores(self) -> int:
        """The samples of all epochs and of the end."""
        return (self.epochs + 1) * self.samples


class TnasG(SearchMethod):
    """Weights learn on paths from Γ(a) = p_θ(a|z) (Eq. 12), in turn with α on held-out images by binary gates.

    The path on which the weights have just learned is the one that α learns on (§4.3: "update the super network weight
    and multinomial distribution parameter accordingly"); its rivals in the binary gates are drawn by α.

    Our reading of how the two distributions meet, which the paper leaves open: after each epoch architectures of both
    α's multinomial and p_θ are scored on the held-out images, and the VAE is fitted on the best so far. So p_θ takes up
    what the gradient prefers (§4.3), and learns from its own last draws (Eq. 1). The result is the best scored of α's
    favourite and of draws from p_θ.
    """

    name: ClassVar[str] = "tnas-g"
    default_space: ClassVar[str] = "nasnet"
    settings_type = TnasGSettings
    settings: TnasGSettings
    paper: ClassVar[str] = "Yan et al. 2021, TNAS: NAS sampling module based on a variational auto-encoder"

    def __init__(self, space: SearchSpace, feasible: Constraint, settings: TnasGSettings | None = None) -> None:
        super().__init__(space, feasible, settings)
        self.binary = BinaryGates(space, self.settings.binary)
        self.sampler = VaeSampler(space, self.settings.vae)
        self._path: Architecture | None = None  # that the last weight step took; a round begins without one

    def schedule(self, steps_per_epoch: int) -> Sequence[Round]:
        """Warm-up, then epochs that refit the VAE on what was scored so far and take weight and α steps in turn."""
        turns = (Phase("weights", 1), Phase("architecture", 1)) * steps_per_epoch
        both = Round((Phase("refit", 1), *turns))
        warmup = self.settings.warmup
        return (*weight_epochs(warmup, steps_per_epoch), *(both,) * (self.settings.epochs - warmup))

    def propose(self, rng: np.random.Generator, count: int) -> list[Architecture]:
        """Return `count` draws from p_θ; even ones before the first fit."""
        return self.sampler.ask(rng, count)

    def gates(self, rng: np.random.Generator) -> Gates:
        """Open one path from p_θ, or an even one before the first fit."""
        self._path = self.sampler.ask(rng, 1)[0] if self.sampler.fitted else self.even_path(rng)
        return gates_of(self._path, self.space.decisions)

    def update(self, step: ArchStep) -> Mapping[str, Any]:
        """Take a binary-gate step on α along the path that the weights have just learned on (§4.3)."""
        return self.binary.learn(step, self._path or self.propose(step.rng, 1)[0])

    def refit(self, rng: np.random.Generator) -> Mapping[str, float]:
        """Fit the VAE, once something has been scored."""
        return self.sampler.fit()

    def end_epoch(self, score: Score, rng: np.random.Generator) -> None:
        """Score some feasible draws of both distributions for the next fit."""
        self._path = None

        def draw() -> Architecture:
            by_alpha = rng.random() < self.settings.from_alpha
            return self.binary.sample(rng) if by_alpha else self.sampler.ask(rng, 1)[0]

        drawn = distinct(draw, self.settings.samples, self.feasible, tries=VAE_TRIES)
        self.sampler.remember([(found, score(found)) for found in drawn])

    def finish(self, score: Score, rng: np.random.Generator) -> Architecture:
        """Refit once more, and return the best scored of α's favourite within the limits and of draws from p_θ."""
        self.refit(rng)
        favourite = nearest_feasible(self.space, self.binary.scores(), self.feasible, rng)
        drawn = distinct(lambda: self.sampler.ask(rng, 1)[0], self.settings.samples - 1, self.feasible, tries=VAE_TRIES)
        return max(dict.fromkeys([favourite, *drawn]), key=score)

    def state_dict(self) -> dict[str, Any]:
        """Return α with its optimiser, and the VAE with its archive."""
        return {
            **super().state_dict(),
            "binary": self.binary.state_dict(),
            "sampler": self.sampler.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over what `state_dict` returned."""
        super().load_state_dict(state)
        self.binary.load_state_dict(state["binary"])
        self.sampler.load_state_dict(state["sampler"])
