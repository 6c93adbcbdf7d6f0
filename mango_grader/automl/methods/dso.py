"""DSO-NAS (Zhang et al. 2018): the complete graph is pruned while it learns, by sparse factors on its connections."""

import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mango_grader.automl.architecture import Architecture
from mango_grader.automl.cost import CostModel, macs
from mango_grader.automl.evaluate import Score
from mango_grader.automl.limits import Constraint
from mango_grader.automl.methods.base import MethodSettings, Phase, Round, SearchMethod, weight_epochs
from mango_grader.automl.movement import Movement, Preference, preference_moved
from mango_grader.automl.relaxations.rounding import drawn_by, nearest_feasible
from mango_grader.automl.relaxations.sparsity import ApgNag, BlockShares, memory_shares, pulls_in
from mango_grader.automl.search_space import SearchSpace
from mango_grader.automl.shared import ArchStep
from mango_grader.automl.supernet import Gate, Gates
from mango_grader.ranges import BelowOne, Count, CountOrNone, NotNegative, Positive, Share
from mango_grader.training.recipe import WeightRecipe

_PRUNED_BY = 0.75  # of the λ steps: in the others, only the weights of what is left go on
_BEYOND = 1 + 1e-6  # so that rounding spares nothing


@dataclass(frozen=True)
class DsoSettings(MethodSettings):
    """The published values of the CIFAR-10 search (§4.1, §4.2), where silent those of the authors' code.

    Attributes:
        pretrain: epochs of weights on the complete graph, 0 or more (§4.1: 120).
        epochs: of weights and λ in turn, 1 or more.
        ratio: weight steps per λ step, 1 or more; the paper's ablation 4:1 is 4 with `held_out` 0.2 (Table 3).
        held_out: share of the training part, in [0, 1), on which λ learns; 0 lets both learn on all of it ("no split",
            Table 3).
        gamma: weight of ‖λ‖₁ (Eq. 5), 0 or more; a λ lasts while the held-out loss gains more than that from it. A
            useless λ falls by lr · gamma in its first step, and by up to 1 / (1 − momentum) times that later: few steps
            prune nothing. None sets it in each step as `keep` says.
        keep: share of the complete graph's multiply-adds, in [0, 1], that is to be left. In each step, gamma is then
            what brings the weakest λ, those beyond that share, to zero within three quarters of the λ steps, momentum
            included, however few these are. Then λ stands, and weights go on. None takes `gamma` as it is.
        lr: of APG-NAG, above 0.
        momentum: of APG-NAG, in [0, 1).
        clip: largest slope of one λ that is believed; 0 for any, as published. In front of BatchNorm, slopes grow like
            1/λ as λ nears zero, which makes fast searches leap.
        nonnegative: whether λ is kept from falling below zero.
        adaptive: what gamma follows: "flops" the cost of what a block still keeps (Eq. 9; milliseconds where latency is
            the search's cost), "memory" an operation's memory accesses (Eq. 10), or "none".
        weights: how the shared weights learn.

    Raises:
        RangeError: a value is out of range.
        ValueError: not exactly one of gamma and keep is None.
    """

    lengths: ClassVar[tuple[str, ...]] = ("pretrain", "epochs")
    pretrain: CountOrNone = 120
    epochs: Count = 120
    ratio: Count = 1
    held_out: BelowOne = 0.5
    gamma: NotNegative | None = 1e-3
    keep: Share | None = None
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

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.gamma is None) == (self.keep is None):
            raise ValueError("set either gamma or keep, and the other to null: keep=0.4 goes with gamma=null")

    def ignored(self) -> Mapping[str, str]:
        """Return what gamma follows where there is no gamma."""
        return {} if self.gamma != 0 else {"adaptive": "nothing is pulled to zero; set gamma, too"}


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
        self._whole = BlockShares(space, macs(space))
        self._blocks: BlockShares | None = None  # priced as the search prices
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

    def reach(self, steps: int) -> float:
        """Return 1 where a useless λ can fall to zero in so many steps, or need not, 0 where none can."""
        if self.settings.gamma is None or not all(decision.free for decision in self.space.decisions):
            return 1.0
        fallen = self.settings.lr * self.settings.gamma * pulls_in(steps, self.settings.momentum) if steps else 0.0
        return float(fallen >= 1.0)

    def propose(self, rng: np.random.Generator, count: int) -> list[Architecture]:
        """Return `count` draws by λ."""
        preference = self.preference()
        return [drawn_by(self.space, preference, rng) for _ in range(count)]

    def gates(self, rng: np.random.Generator) -> Gates:
        """Open what is kept, scaled by λ."""
        return {name: Gate(self._kept[name], weight) for name, weight in self._split(self.factors.ahead).items()}

    def update(self, step: ArchStep) -> Mapping[str, Any]:
        """Take one APG-NAG step on the held-out loss; returns that loss, and the shares that are kept."""
        left = math.ceil(_PRUNED_BY * step.steps) - step.number
        if step.shared is None:
            return {}
        if self.settings.gamma is None and left < 1 and not self._excess:
            return self._shares_kept()
        factors = self.factors.ahead.clone().requires_grad_()
        placed = self._split(factors.to(step.shared.training.device.torch))
        loss = step.shared.held_out_loss({name: Gate(tuple(range(len(w))), w) for name, w in placed.items()})
        (slope,) = torch.autograd.grad(loss, factors)
        if self.settings.clip:
            slope = slope.clamp(-self.settings.clip, self.settings.clip)
        if self.settings.gamma is not None:
            self.factors.step(slope, self.settings.gamma * self._pull(step.cost))
        else:
            self._prune_within(slope, self._pull(step.cost), max(1, left))
        self._look()
        return {"held_out_loss": loss.detach(), **self._shares_kept()}

    def _prune_within(self, slope: Tensor, pull: Tensor, left: int) -> None:
        """Take the first of `left` steps that prune down to `keep`, 1 or more."""
        pulls = pull.double().numpy()
        height = self.factors.foreseen(slope, left).double().numpy()
        lasting = np.divide(height, pulls, out=np.full(len(pulls), np.inf), where=pulls > 0)  # in pulls
        order = np.argsort(-lasting, kind="stable")
        beyond = lasting[order[self._most_within(order) :]]
        first = float(beyond[np.isfinite(beyond)].max(initial=0.0))  # the strongest of those that may go
        strength = _BEYOND * first / pulls_in(left, self.factors.momentum) / self.factors.rate
        # What pulls the weakest to zero is not to go on pulling the others.
        self.factors.step(slope, strength * pull, stop=left == 1)

    def _most_within(self, order: Sequence[int] | NDArray[np.int64]) -> int:
        """Return how many candidates, the first in `order` and with them those that must stay, are within `keep`."""
        keep = self.settings.keep
        assert keep is not None

        def excess(count: int) -> bool:
            mask = self._must.copy()
            mask[np.asarray(order[:count], dtype=np.int64)] = True
            return self._whole.of_all(self._named(mask)) > keep

        return max(0, bisect_left(range(len(order) + 1), True, key=excess) - 1)

    @property
    def _excess(self) -> bool:
        """Whether more is left than `keep` allows."""
        return self.settings.keep is not None and self._kept_macs > self.settings.keep

    def _look(self) -> None:
        """Work out what is kept now, and which λ are pulled to zero next."""
        strongest = self.space.nearest(self._scores()).choices
        kept: dict[str, tuple[int, ...]] = {}
        musts = []
        for decision, strength in zip(self.space.decisions, self._strengths().values(), strict=True):
            chosen = [decision.candidates.index(name) for name in strongest[decision.name]]
            must = sorted(chosen, key=lambda index: -strength[index])[: decision.min_chosen]
            kept[decision.name] = tuple(sorted({*np.flatnonzero(strength > 0).tolist(), *must}))
            musts.append(np.isin(np.arange(len(strength)), must))
            self._pulls[decision.name] = np.ones(len(strength))
            if len(kept[decision.name]) == len(must):
                self._pulls[decision.name][must] = 0.0
        self._must = np.concatenate(musts)
        if kept != self._kept:  # derived anew only then: it takes a while
            self._kept, self._mask = kept, np.zeros(sum(self._sizes), dtype=bool)
            for part, indices in zip(self._parts(self._mask), kept.values(), strict=True):
                part[list(indices)] = True
            self._kept_macs = self._whole.of_all(self._named(self._mask))

    def _pull(self, cost: CostModel) -> Tensor:
        """Return how strongly each λ is pulled to zero now, as a share of γ."""
        if self.settings.adaptive == "flops" and self._kept != self._priced:
            self._blocks = self._blocks or BlockShares(self.space, cost)
            shares = self._blocks.of(self._named(self._mask))
            self._shares = {name: np.array(share) for name, share in shares.items()}
            self._priced = self._kept
        pull = np.concatenate([each * self._shares.get(name, 1.0) for name, each in self._pulls.items()])
        return torch.from_numpy(pull).to(self.factors.ahead)

    def _split(self, vector: Tensor) -> dict[str, Tensor]:
        parts = torch.split(vector, self._sizes)
        return {decision.name: part for decision, part in zip(self.space.decisions, parts, strict=True)}

    def _parts(self, vector: NDArray[Any]) -> list[NDArray[Any]]:
        return np.split(vector, np.cumsum(self._sizes)[:-1])

    def _named(self, mask: NDArray[np.bool_]) -> dict[str, tuple[str, ...]]:
        parts = zip(self.space.decisions, self._parts(mask), strict=True)
        return {d.name: tuple(d.candidates[place] for place in np.flatnonzero(part)) for d, part in parts}

    def _strengths(self) -> dict[str, NDArray[np.float64]]:
        parts = self._parts(self.factors.margin.double().numpy())
        return {decision.name: part for decision, part in zip(self.space.decisions, parts, strict=True)}

    def _scores(self) -> dict[str, NDArray[np.float64]]:
        """Return the strengths, those of pruned candidates so low that they come back as the last."""
        return {name: np.where(strength > 0, strength, strength - 1) for name, strength in self._strengths().items()}

    def _result(self) -> dict[str, NDArray[np.float64]]:
        """Return the scores of the result: where steps were left out, what is beyond `keep` is cut off now."""
        if not self._excess:
            return self._scores()
        scores = np.concatenate(list(self._scores().values()))
        order = np.argsort(-scores, kind="stable")
        scores[order[self._most_within(order) :]] -= 1 + max(0.0, float(scores.max()))
        return dict(zip(self._kept, self._parts(scores), strict=True))

    def finish(self, score: Score, rng: np.random.Generator) -> Architecture:
        """Return what is kept, the strongest where a decision must choose; or the nearest feasible one."""
        return nearest_feasible(self.space, self._result(), self.feasible, rng)

    def preference(self) -> dict[str, NDArray[np.float64]]:
        """Return λ of what is kept, at most 1; where a decision must choose, its share of the decision's sum."""
        found = {}
        for decision, strength in zip(self.space.decisions, self._strengths().values(), strict=True):
            left = strength.clip(min=0.0)
            whole = 1.0 if decision.free else float(left.sum()) / decision.min_chosen or 1.0
            found[decision.name] = (left / whole).clip(max=1.0)
        return found

    def movement(self, before: Preference) -> Movement:
        """Return how many candidates λ has left, their share of the multiply-adds, and what of the others is decided.

        In a free subset λ begins at 1, and what moves is what is pruned; other decisions take their strongest.
        """
        choosing = [decision for decision in self.space.decisions if not decision.free]
        found = preference_moved(choosing, before, self.preference(), None)
        return replace(found, kept=self._counts(), kept_macs=self._kept_macs)

    def _shares_kept(self) -> dict[str, float]:
        kept, candidates = self._counts()
        return {"kept": kept / candidates, "kept_macs": self._kept_macs}

    def _counts(self) -> tuple[int, int]:
        return int(self._mask.sum()), len(self._mask)

    def state_dict(self) -> dict[str, Any]:
        """Return λ and its momentum."""
        return self.factors.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over what `state_dict` returned."""
        self.factors.load_state_dict(state)
        self._look()
