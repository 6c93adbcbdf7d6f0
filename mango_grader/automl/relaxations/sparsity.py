"""Sparse scaling factors: the optimiser APG-NAG, and how the costs of a space weigh the pull to zero (DSO-NAS §3)."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mango_grader.automl.cost import CostModel, memory_accesses
from mango_grader.automl.graph import Choice
from mango_grader.automl.search_space import SearchSpace
from mango_grader.models.operations import Identity
from mango_grader.models.spec import Node


def soft_threshold(values: Tensor, threshold: Tensor) -> Tensor:
    """Return S_a(z) = sign(z) · max(|z| − a, 0): exactly zero where |z| ≤ a.

    Args:
        values: z, of any shape.
        threshold: a, of the same shape, 0 or more.
    """
    return values.sign() * (values.abs() - threshold).clamp(min=0.0)


@dataclass
class ApgNag:
    """The optimiser APG-NAG (Huang & Wang 2018, §3.3; DSO-NAS Eq. 6 to 8), momentum and rate constant.

    Attributes:
        ahead: λ_t, the look-ahead point at which gradients are taken.
        rate: of learning, above 0.
        momentum: in [0, 1).
        nonnegative: whether λ_t is kept from falling below zero, as in the authors' code.
        velocity: v_t, of λ's shape.
        margin: by how much z_t exceeded the threshold, of λ's shape; S(z_t) is exactly zero where that is 0 or less.
    """

    ahead: Tensor
    rate: float
    momentum: float
    nonnegative: bool

    def __post_init__(self) -> None:
        self.velocity = torch.zeros_like(self.ahead)
        self.margin = self.ahead.clone()

    def step(self, slope: Tensor, gamma: Tensor, *, stop: bool = False) -> None:
        """Take one step.

        Args:
            slope: ∇G(λ_(t−1)), of λ's shape.
            gamma: weight of ‖λ‖₁, of λ's shape.
            stop: whether to end at S(z), and to begin again without momentum (O'Donoghue & Candès 2015, §3.2).
        """
        z, threshold = self.ahead - self.rate * slope, self.rate * gamma
        sparse = soft_threshold(z, threshold)
        self.velocity = torch.zeros_like(sparse) if stop else sparse - self.ahead + self.momentum * self.velocity
        self.ahead = sparse + self.momentum * self.velocity
        if self.nonnegative:
            self.ahead = self.ahead.clamp(min=0.0)
        self.margin = (z if self.nonnegative else z.abs()) - threshold

    def foreseen(self, slope: Tensor, steps: int) -> Tensor:
        """Return z of the last of `steps` steps if only the first one had a slope, and nothing was pulled to zero.

        Args:
            slope: of the first step, of λ's shape.
            steps: 1 or more.
        """
        carried = self.momentum * (1 - self.momentum ** (steps - 1)) / (1 - self.momentum)
        z = self.ahead - self.rate * (1 + carried) * slope + self.momentum * carried * self.velocity
        return z.clamp(min=0.0) if self.nonnegative else z.abs()

    def state_dict(self) -> dict[str, Tensor]:
        """Return all that changes."""
        return {"ahead": self.ahead, "velocity": self.velocity, "margin": self.margin}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Take over what `state_dict` returned."""
        own = self.ahead.device
        self.ahead, self.velocity, self.margin = (state[n].to(own) for n in ("ahead", "velocity", "margin"))


def pulls_in(steps: int, momentum: float) -> float:
    """Return how many times its first pull to zero a λ has fallen at S(z) of the last of `steps` equal pulls.

    Momentum builds up: a step takes one pull at first, and nearly 1 / (1 − momentum) later.

    Args:
        steps: of APG-NAG, 1 or more.
        momentum: in [0, 1).
    """
    before, ramp = steps - 1, momentum / (1 - momentum)
    return 1 + before + ramp * (before - ramp * (1 - momentum**before))


class BlockShares:
    """FLOPs_b / FLOPs_block of Eq. 9: what a decision's blocks still cost, as a share of their cost when complete.

    Args:
        space: whose blocks are meant.
        cost: the price that stands for FLOPs.
    """

    def __init__(self, space: SearchSpace, cost: CostModel) -> None:
        self._cost = cost
        self._blocks: dict[str, set[str]] = {decision.name: set() for decision in space.decisions}
        for node in space.graph.nodes:
            if isinstance(node, Choice):
                self._blocks[node.decision].add(node.name.split("/")[0])
        self._complete = cost.by_block({decision.name: decision.candidates for decision in space.decisions})

    def of(self, kept: Mapping[str, tuple[str, ...]]) -> dict[str, float]:
        """Return the share in [0, 1] by decision, under the candidates that are kept; 1 where nothing ever costs."""
        present = self._cost.by_block(kept)
        shares = {}
        for name, blocks in self._blocks.items():
            complete = sum(self._complete.get(block, 0) for block in blocks)
            shares[name] = sum(present.get(block, 0) for block in blocks) / complete if complete else 1.0
        return shares

    def of_all(self, kept: Mapping[str, tuple[str, ...]]) -> float:
        """Return what the whole network still costs as a share of the complete one, in [0, 1]."""
        return sum(self._cost.by_block(kept).values()) / (sum(self._complete.values()) or 1.0)


def memory_shares(space: SearchSpace) -> dict[str, NDArray[np.float64]]:
    """Return MAC_(i,j) / MAC_max of Eq. 10, (candidates,) by decision: memory accesses over those of the dearest.

    A candidate's are those of its branches and of the node that each branch's choice alone feeds, summed over all
    choices that share the decision: an edge into an operation stands for the operation.

    Args:
        space: whose candidates are meant.
    """
    graph = space.graph
    consumers: dict[str, list[Node | Choice]] = {}
    for node in graph.nodes:
        inputs = node.inputs if isinstance(node, Node) else [name for b in node.branches for name in b.inputs]
        for name in inputs:
            consumers.setdefault(name, []).append(node)
    costs = {decision.name: np.zeros(len(decision.candidates)) for decision in space.decisions}
    places = {d.name: {candidate: place for place, candidate in enumerate(d.candidates)} for d in space.decisions}
    for node in graph.nodes:
        if not isinstance(node, Choice):
            continue
        fed = [c for c in consumers.get(node.name, []) if isinstance(c, Node) and c.inputs == (node.name,)]
        alone = len(fed) == len(consumers.get(node.name, [])) == 1
        behind = memory_accesses(fed[0].op, [graph.shapes[node.name]]) if alone else 0.0
        for branch in node.branches:
            if branch.op is None:
                continue
            own = memory_accesses(branch.op, [graph.shapes[name] for name in branch.inputs])
            place = places[node.decision][branch.candidate]
            costs[node.decision][place] += behind + (0.0 if isinstance(branch.op, Identity) else own)
    dearest = max(float(values.max()) for values in costs.values()) or 1.0
    return {name: values / dearest for name, values in costs.items()}
