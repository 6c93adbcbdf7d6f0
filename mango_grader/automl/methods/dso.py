"""DSO-NAS (Zhang et al. 2018): the complete graph is pruned while it learns, by sparse factors on its connections."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mango_grader.automl.architecture import Architecture
from mango_grader.automl.cost import CostModel
from mango_grader.automl.evaluate import Score
from mango_grader.automl.limits import Constraint
from mango_grader.automl.methods.base import MethodSettings, Phase, Round, SearchMethod, weight_epochs
from mango_grader.automl.relaxations.rounding import nearest_feasible
from mango_grader.automl.relaxations.sparsity import ApgNag, BlockShares, memory_shares
from mango_grader.automl.search_space import SearchSpace
from mango_grader.automl.shared import ArchStep
from mango_grader.automl.supernet import Gate, Gates
from mango_grader.ranges import BelowOne, Count, CountOrNone, NotNegative, Positive
from mango_grader.training.recipe import WeightRecipe


@dataclass(frozen=True)
class DsoSettings(MethodSettings):
    """The published values of the CIFAR-10 search (§4.1, §4.2), where silent those of the authors' code.

    Attributes:
        pretrain: epochs of weights on the complete graph, 0 or more (§4.1: 120).
        epochs: of weights and λ in turn, 1 or more.
        ratio: weight steps per λ step, 1 or more; the paper's ablation 4:1 is 4 with `held_out` 0.2 (Table 3).
        held_out: share of the training part, in [0, 1), on which λ learns; 0 lets both learn on all of it ("no split",
            Table 3).
        gamma: weight of ‖λ‖₁ (Eq. 5), 0 or more; a λ lasts while the held-out loss gains more than that from it.
        lr: of APG-NAG, above 0; a useless λ falls by about lr · gamma / (1 − momentum) per step.
        momentum: of APG-NAG, in [0, 1).
        clip: largest slope of one λ that is believed; 0 for any, as published. In front of BatchNorm, slopes grow like
            1/λ as λ nears zero, which makes fast searches leap.
        nonnegative: whether λ is kept from falling below zero.
        adaptive: what gamma follows: "flops" the cost of what a block still keeps (Eq. 9; milliseconds where latency is
            the search's cost), "memory" an operation's memory accesses (Eq. 10), or "none".
        weights: how the shared weights learn.
    """

    lengths: ClassVar[tuple[str, ...]] = ("pretrain", "epochs")
    pretrain: CountOrNone = 120
    epochs: Count = 120
    ratio: Count = 1
    held_out: BelowOne = 0.5
    gamma: NotNegative = 1e-3
    lr: Positive = 0.1
    momentum: BelowOne = 0.9
    clip: NotNegative = 0.0
    nonnegative: bool = True
    adaptive: Literal["none", "flops", "memory"] = "flops"
    weights: WeightRecipe = WeightRecipe(
        optimiser="sgd", lr=0.1, final_lr=0.1, momentum=0.9, nesterov=True, weight_decay=1e-4, frozen_scale=True
    )

    @property
    def weighs_cost(self) -> bool:
        """Whether gamma follows the cost."""
        return self.adaptive == "flops"

    @property
    def cost_setting(self) -> str:
        """What makes gamma follow the cost."""
        return "adaptive=flops"

    def scaled(self, effort: float) -> Self:
        """Return settings that take about `effort` times as long; gamma makes up for it, so that as much is pruned."""
        shorter = super().scaled(effort)
        return replace(shorter, gamma=self.gamma * self.epochs / shorter.epochs)


class Dso(SearchMethod):
    """Every candidate's output is scaled by its own λ, at first 1 (Eq. 2); λ and weights minimise Eq. 5 in turn.

    A candidate is pruned where S(z) is exactly zero. Weight steps do not run what is pruned; λ steps do, so that the
    loss can call it back. Our reading for decisions that must choose (the published space has none): their strongest
    candidates are never pruned, nor pulled to zero once they are the last, and the result takes them alone.
    """

    name: ClassVar[str] = "dso"
    default_space: ClassVar[str] = "dag"
    settings_type = DsoSettings
    settings: DsoSettings
    fits_width: ClassVar[bool] = True
    opens_one_path: ClassVar[bool] = False
    paper: ClassVar[str] = "Zhang et al., You only search once: single shot NAS via direct sparse optimization"

    def __init__(self, space: SearchSpace, feasible: Constraint, settings: DsoSettings | None = None) -> None:
        super().__init__(space, feasible, settings)
        self._sizes = [len(decision.candidates) for decision in space.decisions]
        # One vector on the CPU: what is pruned is read after every step, and any device multiplies by its numbers.
        self.factors = ApgNag(
            torch.ones(sum(self._sizes)), self.settings.lr, self.settings.momentum, self.settings.nonnegative
        )
        self._blocks: BlockShares | None = None
        self._shares = memory_shares(space) if self.settings.adaptive == "memory" else {}
        self._kept: dict[str, tuple[int, ...]] = {}
        self._pulls: dict[str, NDArray[np.float64]] = {}
        self._priced = self._kept
        self._look()

    def schedule(self, steps_per_epoch: int) -> Sequence[Round]:
        """Pre-training on the complete graph, then `ratio` weight steps and one λ step in turn."""
        turns = math.ceil(steps_per_epoch / self.settings.ratio)
        both = Round((Phase("weights", self.settings.ratio), Phase("architecture", 1)), repeat=turns)
        return (*weight_epochs(self.settings.pretrain, steps_per_epoch), *(both,) * self.settings.epochs)

    def gates(self, rng: np.random.Generator) -> Gates:
        """Open what is kept, scaled by λ."""
        return {name: Gate(self._kept[name], weight) for name, weight in self._split(self.factors.ahead).items()}

    def update(self, step: ArchStep) -> Mapping[str, Any]:
        """Take one APG-NAG step on the held-out loss; returns that loss and the share of candidates that are kept."""
        if step.shared is None:
            return {}
        factors = self.factors.ahead.clone().requires_grad_()
        placed = self._split(factors.to(step.shared.training.device.torch))
        loss = step.shared.held_out_loss({name: Gate(tuple(range(len(w))), w) for name, w in placed.items()})
        (slope,) = torch.autograd.grad(loss, factors)
        if self.settings.clip:
            slope = slope.clamp(-self.settings.clip, self.settings.clip)
        self.factors.step(slope, self._gamma(step.cost))
        self._look()
        kept = sum(len(indices) for indices in self._kept.values())
        return {"held_out_loss": loss.detach(), "kept": kept / sum(self._sizes)}

    def _look(self) -> None:
        """Work out what is kept now, and which λ are pulled to zero next."""
        strongest = self.space.nearest(self._scores()).choices
        self._kept, self._pulls = {}, {}
        for decision, strength in zip(self.space.decisions, self._strengths().values(), strict=True):
            chosen = [decision.candidates.index(name) for name in strongest[decision.name]]
            must = sorted(chosen, key=lambda index: -strength[index])[: decision.min_chosen]
            self._kept[decision.name] = tuple(sorted({*np.flatnonzero(strength > 0).tolist(), *must}))
            self._pulls[decision.name] = np.ones(len(strength))
            if len(self._kept[decision.name]) == len(must):
                self._pulls[decision.name][must] = 0.0

    def _gamma(self, cost: CostModel) -> Tensor:
        """Return how strongly each λ is pulled to zero now."""
        if self.settings.adaptive == "flops" and self._kept != self._priced:  # derived anew only then: it takes a while
            self._blocks = self._blocks or BlockShares(self.space, cost)
            names = {d.name: tuple(d.candidates[index] for index in self._kept[d.name]) for d in self.space.decisions}
            self._shares = {name: np.array(share) for name, share in self._blocks.of(names).items()}
            self._priced = self._kept
        pull = np.concatenate([each * self._shares.get(name, 1.0) for name, each in self._pulls.items()])
        return torch.from_numpy(self.settings.gamma * pull).to(self.factors.ahead)

    def _split(self, vector: Tensor) -> dict[str, Tensor]:
        parts = torch.split(vector, self._sizes)
        return {decision.name: part for decision, part in zip(self.space.decisions, parts, strict=True)}

    def _strengths(self) -> dict[str, NDArray[np.float64]]:
        parts = np.split(self.factors.margin.double().numpy(), np.cumsum(self._sizes)[:-1])
        return {decision.name: part for decision, part in zip(self.space.decisions, parts, strict=True)}

    def _scores(self) -> dict[str, NDArray[np.float64]]:
        """Return the strengths, those of pruned candidates so low that they come back as the last."""
        return {name: np.where(strength > 0, strength, strength - 1) for name, strength in self._strengths().items()}

    def finish(self, score: Score, rng: np.random.Generator) -> Architecture:
        """Return what is kept, the strongest where a decision must choose; or the nearest feasible one."""
        return nearest_feasible(self.space, self._scores(), self.feasible, rng)

    def preference(self) -> dict[str, NDArray[np.float64]]:
        """Return λ of what is kept, at most 1; where a decision must choose, its share of the decision's sum."""
        found = {}
        for decision, strength in zip(self.space.decisions, self._strengths().values(), strict=True):
            left = strength.clip(min=0.0)
            whole = 1.0 if decision.free else float(left.sum()) / decision.min_chosen or 1.0
            found[decision.name] = (left / whole).clip(max=1.0)
        return found

    def state_dict(self) -> dict[str, Any]:
        """Return λ and its momentum."""
        return self.factors.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over what `state_dict` returned."""
        self.factors.load_state_dict(state)
        self._look()
