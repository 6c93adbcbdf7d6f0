"""ProxylessNAS (Cai et al. 2019): one sampled path trains the weights, and binary gates learn which paths to sample."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor

from mango_grader.automl.architecture import Architecture
from mango_grader.automl.limits import Constraint
from mango_grader.automl.methods.base import Round, interleaved, weight_epochs
from mango_grader.automl.methods.gated import GatedMethod, GatedSettings
from mango_grader.automl.relaxations import BinaryGateSettings
from mango_grader.automl.search_space import SearchSpace
from mango_grader.automl.shared import ArchStep
from mango_grader.ranges import BelowOne, Count, CountOrNone, NotNegative, Ranged
from mango_grader.training.recipe import WeightRecipe


@dataclass(frozen=True)
class ReinforceSettings(Ranged):
    """How the gates learn from scores alone (§3.3.2); values of the released code.

    Attributes:
        paths: M, architectures that each step samples and scores; 1 or more.
        baseline_decay: of the moving average of mean rewards, in [0, 1), that is subtracted from a step's rewards once
            their own mean is in it; the released code takes over 99 % of each new mean.
        cost_exponent: w of the reward score · (1/cost)^w, 0 or more; 0 for the score alone. Cost 1 is what the space
            costs in the mean before anything is decided.
    """

    paths: Count = 10
    baseline_decay: BelowOne = 0.01
    cost_exponent: NotNegative = 0.1


@dataclass(frozen=True)
class ProxylessNasSettings(GatedSettings):
    """The published values of the ImageNet search (§4.2), where silent those of the released code.

    The released code's batch of 256 images is a setting of the run.

    Attributes:
        gradient: of the gates: "binary_gates" goes through the held-out loss of two sampled paths (§3.2.1),
            "reinforce" takes nothing but scores, which need not be differentiable (§3.3.2).
        epochs: of weights and gates in turn, 1 or more.
        warmup: epochs of weights alone before them, 0 or more.
        interval: weight steps before each step of the gates, 1 or more.
        held_out: share of the training part, in [0, 1), that the gates learn on (50,000 of ImageNet's images).
        binary: of the gates; its `cost_weight` is λ₂ of the latency loss (§3.3.1).
        reinforce: of the steps where `gradient` is "reinforce".
        weights: how the shared weights learn.
    """

    lengths: ClassVar[tuple[str, ...]] = ("epochs", "warmup")
    gradient: Literal["binary_gates", "reinforce"] = "binary_gates"
    epochs: Count = 120
    warmup: CountOrNone = 40
    interval: Count = 5
    held_out: BelowOne = 0.04
    binary: BinaryGateSettings = BinaryGateSettings()
    reinforce: ReinforceSettings = ReinforceSettings()
    weights: WeightRecipe = WeightRecipe(optimiser="sgd", lr=0.025, momentum=0.9, nesterov=True, weight_decay=4e-5)

    def ignored(self) -> Mapping[str, str]:
        """Return what the other gradient has."""
        if self.gradient == "binary_gates":
            return {"reinforce": "binary gates learn from losses; choose gradient=reinforce"}
        reason = "REINFORCE learns from scores; choose gradient=binary_gates"
        return {"binary.paths": reason, "binary.cost_weight": f"{reason}, or set reinforce.cost_exponent"}

    @property
    def weighs_cost(self) -> bool:
        """Whether the gates learn what is cheap, too."""
        return self.reinforce.cost_exponent > 0 if self.gradient == "reinforce" else super().weighs_cost

    @property
    def cost_setting(self) -> str:
        """The weight of the cost in the loss, or in the reward."""
        return "reinforce.cost_exponent=0.1" if self.gradient == "reinforce" else super().cost_setting


class ProxylessNas(GatedMethod):
    """Weights learn on paths sampled by p = softmax(α) (Eq. 2), in turn with α on held-out images.

    α descends the binary gates' gradient (Eq. 4) between two sampled paths, the others' probabilities kept (§3.2.1), of
    the loss plus λ₂ times the expected cost (§3.3.1); or it ascends E[R] by REINFORCE, R = score · (1/cost)^w (§3.3.2).
    The result has the largest α; where limits forbid it, it is the nearest feasible architecture.

    Our readings. A sampled architecture beyond the limits has reward 0 and is not run. A score that can be negative
    counts from its least value, so that a lower cost is never a loss.
    """

    name: ClassVar[str] = "proxylessnas"
    default_space: ClassVar[str] = "mbconv"
    settings_type = ProxylessNasSettings
    settings: ProxylessNasSettings
    paper: ClassVar[str] = (
        "Cai et al. 2019, ProxylessNAS: direct neural architecture search on target task and hardware"
    )

    def __init__(self, space: SearchSpace, feasible: Constraint, settings: ProxylessNasSettings | None = None) -> None:
        super().__init__(space, feasible, settings)
        self.baseline: float | None = None

    def schedule(self, steps_per_epoch: int) -> Sequence[Round]:
        """Epochs of weights only, then epochs in which one step of the gates follows each `interval` weight steps."""
        both = interleaved(self.settings.epochs, steps_per_epoch, self.settings.interval)
        return (*weight_epochs(self.settings.warmup, steps_per_epoch), *both)

    def update(self, step: ArchStep) -> Mapping[str, Any]:
        """Take one step on α; the weights stay as they are."""
        return self.binary.learn(step) if self.settings.gradient == "binary_gates" else self._reinforce(step)

    def _reinforce(self, step: ArchStep) -> Mapping[str, float]:
        """Take one step along (1/M) Σ_i (R_i − b) ∇ log p(g_i); returns the mean reward and the baseline used."""
        rewards: list[float] = []
        chances: list[Tensor] = []
        for _ in range(self.settings.reinforce.paths):
            path, chance = self.binary.draw(step.rng)
            rewards.append(self._reward(step, path))
            chances.append(chance)
        mean, decay = float(np.mean(rewards)), self.settings.reinforce.baseline_decay
        self.baseline = mean if self.baseline is None else decay * self.baseline + (1 - decay) * mean
        advantages = torch.tensor(rewards, dtype=torch.float64) - self.baseline
        self.binary.ascend(advantages @ torch.stack(chances) / len(rewards))
        return {"reward": mean, "baseline": self.baseline}

    def _reward(self, step: ArchStep, path: Architecture) -> float:
        if not self.feasible(path):
            return 0.0
        gain = step.score(path) - step.objective.worst
        return float(gain / self.binary.relative_cost(step.cost, path) ** self.settings.reinforce.cost_exponent)

    def state_dict(self) -> dict[str, Any]:
        """Return the gates and the baseline."""
        return {"binary": self.binary.state_dict(), "baseline": self.baseline}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over what `state_dict` returned."""
        self.binary.load_state_dict(state["binary"])
        self.baseline = state["baseline"]
