"""MS-RANAS (Chiroşca et al.): DARTS's continuous relaxation (Liu et al. 2018), with every exit in the loss."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mango_grader.automl.architecture import Architecture
from mango_grader.automl.evaluate import Score
from mango_grader.automl.limits import Constraint
from mango_grader.automl.methods.base import DARTS_WEIGHTS, MethodSettings, Phase, Round, SearchMethod, weight_epochs
from mango_grader.automl.movement import adam_gap, most_decided
from mango_grader.automl.relaxations import RelativeCost, drawn_by, nearest_feasible
from mango_grader.automl.search_space import SearchSpace
from mango_grader.automl.shared import ArchStep, Parameters, SharedStep
from mango_grader.automl.spaces import Decision
from mango_grader.automl.supernet import Gate, Gates
from mango_grader.ranges import BelowOne, Count, CountOrNone, NotNegative, Positive
from mango_grader.training.recipe import WeightRecipe

_INITIAL = 1e-3  # deviation of the first α (DARTS's code)
_REACH = 0.01  # ε · ‖∇_w′ L_val‖ of the finite differences (DARTS §2.3)


@dataclass(frozen=True)
class MsRanasSettings(MethodSettings):
    """The published values (§4.1, which takes over DARTS's).

    Attributes:
        order: of the architecture gradient; 1 (as published) takes the weights as they are, 2 looks one weight step
            ahead (DARTS Eq. 6 to 8) at about four times the cost.
        epochs: of alternating α and weight steps, 1 or more.
        warmup: epochs of weights alone before them, 0 or more.
        held_out: share of the training part, in [0, 1), that α learns on.
        lr: of Adam on α, above 0.
        betas: of Adam on α, each in [0, 1).
        decay: weight decay of α, 0 or more.
        cost_weight: λ of L + λ·E[cost], 0 or more; 0 as published. Cost 1 is what the space costs in the mean before
            anything is decided, as in BetaNAS.
        weights: how the shared weights learn.
    """

    lengths: ClassVar[tuple[str, ...]] = ("epochs", "warmup")
    order: Literal[1, 2] = 1
    epochs: Count = 50
    warmup: CountOrNone = 0
    held_out: BelowOne = 0.5
    lr: Positive = 3e-4
    betas: tuple[BelowOne, BelowOne] = (0.5, 0.999)
    decay: NotNegative = 1e-3
    cost_weight: NotNegative = 0.0
    weights: WeightRecipe = DARTS_WEIGHTS

    @property
    def weighs_cost(self) -> bool:
        """Whether α descends the expected cost, too."""
        return self.cost_weight > 0

    @property
    def cost_setting(self) -> str:
        """The weight of the expected cost."""
        return "cost_weight=0.1"


class GroupSoftmax:
    """DARTS's relaxation: one softmax for each exclusive group of a decision's candidates (Liu et al. 2018, Eq. 2).

    It turns one decision's α (size,), the candidates' first and then those of nothing, into weights (candidates,).

    Args:
        decision: to be relaxed.

    Attributes:
        everything: the indices of all candidates.
        size: how many α the decision has.
    """

    def __init__(self, decision: Decision) -> None:
        count = len(decision.candidates)
        self.everything = tuple(range(count))
        groups = [self.everything]
        if decision.groups or decision.free:
            groups = list(dict.fromkeys(decision.group_of(index) for index in range(count)))
        if decision.zero or decision.free:
            groups = [(*group, count + number) for number, group in enumerate(groups)]
        self.size = sum(len(group) for group in groups)
        self._rivals = torch.zeros(self.size, self.size, dtype=torch.bool)  # who shares a softmax with whom
        for group in groups:
            self._rivals[torch.tensor(group)[:, None], torch.tensor(group)] = True

    def __call__(self, alphas: Tensor) -> Tensor:
        """Relax."""
        rivals = alphas.masked_fill(~self._rivals.to(alphas.device), -torch.inf)
        return torch.softmax(rivals, 1).diagonal()[: len(self.everything)]


class MsRanas(SearchMethod):
    """All candidates run at once, weighted by softmax(α) (Eq. 1); α and w descend in turn (Eq. 2 and 3).

    There is one softmax per exclusive group of a decision, or one over all of it where it has no groups. One more α per
    group stands for nothing where the decision has a `zero`. Our reading of free subsets, which the paper does not
    have: each candidate is a group of its own beside nothing, so that its weight is a sigmoid.
    """

    name: ClassVar[str] = "ms-ranas"
    exact: ClassVar[bool] = True
    default_space: ClassVar[str] = "multiscale"
    settings_type = MsRanasSettings
    settings: MsRanasSettings
    opens_one_path: ClassVar[bool] = False
    paper: ClassVar[str] = "Chiroşca et al., MS-RANAS: multi-scale resource-aware neural architecture search"

    def __init__(self, space: SearchSpace, feasible: Constraint, settings: MsRanasSettings | None = None) -> None:
        super().__init__(space, feasible, settings)
        self._relaxed = {decision.name: GroupSoftmax(decision) for decision in space.decisions}
        # One vector on the CPU: one transfer each way per step, and weights that any device multiplies by.
        count = sum(relaxed.size for relaxed in self._relaxed.values())
        self.alphas = (torch.randn(count) * _INITIAL).requires_grad_()
        self._cost = RelativeCost(self._weights(torch.zeros(count)))
        self._adam = torch.optim.Adam(
            [self.alphas], lr=self.settings.lr, betas=self.settings.betas, weight_decay=self.settings.decay
        )

    def schedule(self, steps_per_epoch: int) -> Sequence[Round]:
        """Warm-up epochs, then one architecture step before each weight step."""
        both = Round((Phase("architecture", 1), Phase("weights", 1)), repeat=steps_per_epoch)
        return (*weight_epochs(self.settings.warmup, steps_per_epoch), *(both,) * self.settings.epochs)

    def propose(self, rng: np.random.Generator, count: int) -> list[Architecture]:
        """Return `count` draws by the weights."""
        preference = self.preference()
        return [drawn_by(self.space, preference, rng) for _ in range(count)]

    def gates(self, rng: np.random.Generator) -> Gates:
        """Open everything, by its present weight."""
        return self._gates(self.alphas.detach())

    def update(self, step: ArchStep) -> Mapping[str, Any]:
        """Move α down the held-out loss and the expected cost by Adam.

        Returns that loss, the mean entropy of the weights in nats and, where it has a weight, the expected cost as a
        share of the undecided space's.
        """
        if step.shared is None:
            return {}
        loss, slope = self.slope(step.shared)
        figures = {"held_out_loss": loss}
        if self.settings.cost_weight:
            expected = self._cost(step.cost, self._weights(self.alphas))
            slope = slope + self.settings.cost_weight * torch.autograd.grad(expected, self.alphas)[0]
            figures["expected_cost"] = expected.detach()
        self.alphas.grad = slope
        self._adam.step()
        weights = self._weights(self.alphas.detach()).values()
        return figures | {"entropy": torch.stack([-torch.xlogy(w, w).sum() for w in weights]).mean()}

    def slope(self, shared: SharedStep) -> tuple[Tensor, Tensor]:
        """Return the detached held-out loss and its gradient in α, of the order that the settings say."""
        alphas = self.alphas.to(shared.training.device.torch)
        gates = self._gates(alphas)
        slope: Tensor | None
        if self.settings.order == 1:
            loss = shared.held_out_loss(gates)
            (slope,) = torch.autograd.grad(loss, self.alphas)
            return loss.detach(), slope
        ahead = shared.virtual_step(self._gates(alphas.detach()), shared.rate)
        loss = shared.held_out_loss(gates, ahead)
        names = list(shared.learned())
        slope, *pulls = torch.autograd.grad(loss, [self.alphas, *(ahead[name] for name in names)], allow_unused=True)
        assert slope is not None
        pull = {name: value for name, value in zip(names, pulls, strict=True) if value is not None}
        return loss.detach(), slope - shared.rate * self._cross(shared, pull)

    def _cross(self, shared: SharedStep, pull: Parameters) -> Tensor:
        """Return ∇²_(α,w) L_train · pull by central differences (DARTS Eq. 8)."""
        reach: Tensor = _REACH / torch.stack([value.norm() for value in pull.values()]).norm()

        def slope_at(distance: Tensor) -> Tensor:
            moved = {name: weight.detach() for name, weight in shared.learned().items()}
            moved.update({name: moved[name] + distance * value for name, value in pull.items()})
            gates = self._gates(self.alphas.to(reach.device))
            slope: Tensor
            (slope,) = torch.autograd.grad(shared.training_loss(gates, {**moved, **shared.buffers()}), self.alphas)
            return slope

        return (slope_at(reach) - slope_at(-reach)) / reach.cpu() / 2

    def _weights(self, alphas: Tensor) -> dict[str, Tensor]:
        parts = torch.split(alphas, [relaxed.size for relaxed in self._relaxed.values()])
        return {name: relaxed(part) for (name, relaxed), part in zip(self._relaxed.items(), parts, strict=True)}

    def _gates(self, alphas: Tensor) -> Gates:
        return {name: Gate(self._relaxed[name].everything, part) for name, part in self._weights(alphas).items()}

    def finish(self, score: Score, rng: np.random.Generator) -> Architecture:
        """Return the strongest candidates (§3.4: the edges of most weight, `none` aside), or the nearest feasible ones.

        A candidate of a free subset stays if it outweighs leaving out its group.
        """
        strengths = self.preference()
        for decision in self.space.decisions:
            if decision.free:
                weights = strengths[decision.name]
                groups = [list(decision.group_of(index)) for index in range(len(weights))]
                strengths[decision.name] = weights - np.array([1 - weights[group].sum() for group in groups])
        return nearest_feasible(self.space, strengths, self.feasible, rng)

    def reach(self, steps: int) -> float:
        """Return what the largest gap decides that steps of α by about the rate make, one up and one down."""
        return most_decided(self.space.decisions, adam_gap(self.settings.lr, steps))

    def preference(self) -> dict[str, NDArray[np.float64]]:
        """Return the weights."""
        return {name: part.numpy() for name, part in self._weights(self.alphas.detach().double()).items()}

    def state_dict(self) -> dict[str, Any]:
        """Return α and its optimiser."""
        return {"alphas": self.alphas.detach(), "adam": self._adam.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over what `state_dict` returned."""
        with torch.no_grad():
            self.alphas.copy_(state["alphas"])
        self._adam.load_state_dict(state["adam"])
