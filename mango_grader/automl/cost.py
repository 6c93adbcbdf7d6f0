"""What an architecture costs without training: multiply-accumulates, parameters, or any other price per operation."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mango_grader.automl.architecture import Architecture
from mango_grader.automl.graph import Choice
from mango_grader.automl.spaces import SearchSpace
from mango_grader.models.operations import Add, Operation, Shape
from mango_grader.models.spec import IMAGE, NetworkSpec

Probabilities = Mapping[str, Tensor]


class CostModel(Protocol):
    """A price in `unit`, by operation, by block and by exit."""

    unit: str

    def operation(self, decision: str, candidate: str) -> float:
        """Return what choosing `candidate` adds, summed over all places that share the decision."""

    def by_block(self, architecture: Architecture) -> NDArray[np.float64]:
        """Return the cost of each block (nodes that share the part of their name before "/"), in network order."""

    def exact(self, architecture: Architecture) -> NDArray[np.float64]:
        """Return the cumulative cost (exits,); dead nodes cost nothing."""

    def expected(self, probabilities: Probabilities) -> Tensor:
        """Return the differentiable expected cumulative cost (exits,) under (candidates,) tensors per decision."""


Price = Callable[[Operation, Sequence[Shape]], float]


class GraphCost:
    """A price per operation, summed over a space's graph. base: (exits,), what a run costs beside its operations."""

    def __init__(self, space: SearchSpace, unit: str, price: Price, base: NDArray[np.float64] | None = None) -> None:
        self.unit = unit
        self._space, self._price = space, price
        self._base = np.zeros(len(space.graph.exits)) if base is None else base
        self._index = {d.name: {c: i for i, c in enumerate(d.candidates)} for d in space.decisions}
        self._exclusive = {d.name: d.max_chosen == 1 for d in space.decisions}
        self._groups = {d.name: [d.group_of(i) for i in range(len(d.candidates))] for d in space.decisions}

    def operation(self, decision: str, candidate: str) -> float:
        """Return what choosing `candidate` adds, summed over all choices that share the decision."""
        shapes = self._space.graph.shapes
        return sum(
            self._price(branch.op, [shapes[name] for name in branch.inputs])
            for node in self._space.graph.nodes
            if isinstance(node, Choice) and node.decision == decision
            for branch in node.branches
            if branch.candidate == candidate and branch.op is not None
        )

    def by_block(self, architecture: Architecture) -> NDArray[np.float64]:
        """Return the cost of each block that the architecture keeps, in network order."""
        spec = self._space.derive(architecture)
        blocks: dict[str, float] = {}
        for node in spec.nodes:
            block = node.name.split("/")[0]
            price = self._price(node.op, [spec.shapes[name] for name in node.inputs])
            blocks[block] = blocks.get(block, 0.0) + price
        return np.array(list(blocks.values()))

    def exact(self, architecture: Architecture) -> NDArray[np.float64]:
        """Return the cumulative cost (exits,) of the derived network."""
        return by_exit(self._space.derive(architecture), self._price) + self._base

    def expected(self, probabilities: Probabilities) -> Tensor:
        """Return E[cost] per exit, exact where every probability is 0 or 1; the tensors' gradients are kept.

        A node counts with the probability that the image reaches it, times that of an exit needing it if so. What
        candidates add that exclude each other is summed; all else is taken as independent, and combined by noisy or.
        """
        like = next(iter(probabilities.values()))
        reach = self._reach(probabilities, like)
        exits = self._space.graph.exits
        costs = torch.stack([self._expected(probabilities, reach, exits[: k + 1], like) for k in range(len(exits))])
        return costs + torch.as_tensor(self._base).to(costs)

    def _reach(self, probabilities: Probabilities, like: Tensor) -> dict[str, Tensor]:
        one = like.new_ones(())
        reach = {IMAGE: one}
        for node in self._space.graph.nodes:
            if isinstance(node, Choice):
                paths = [
                    (b.candidate, self._chance(node, b.candidate, probabilities) * _runs(b.op, b.inputs, reach, one))
                    for b in node.branches
                    if b.op is not None
                ]
                reach[node.name] = _any(self._alternatives(node, paths), one)
            else:
                reach[node.name] = _runs(node.op, node.inputs, reach, one)
        return reach

    def _expected(
        self, probabilities: Probabilities, reach: Mapping[str, Tensor], exits: Sequence[str], like: Tensor
    ) -> Tensor:
        one = like.new_ones(())
        shapes = self._space.graph.shapes
        needs: dict[str, list[Tensor]] = {name: [one] for name in exits}
        total = like.new_zeros(())
        for node in reversed(self._space.graph.nodes):
            needed = _any(needs.get(node.name, []), one)  # given that it is reached
            if isinstance(node, Choice):
                asked: dict[str, list[tuple[str, Tensor]]] = {}
                for branch in node.branches:
                    if branch.op is None:
                        continue
                    chance = needed * self._chance(node, branch.candidate, probabilities)
                    price = self._price(branch.op, [shapes[name] for name in branch.inputs])
                    total = total + chance * _runs(branch.op, branch.inputs, reach, one) * price
                    for name, others in _others(branch.op, branch.inputs, reach, one):
                        asked.setdefault(name, []).append((branch.candidate, chance * others))
                for name, paths in asked.items():
                    needs.setdefault(name, []).extend(self._alternatives(node, paths))
            else:
                price = self._price(node.op, [shapes[name] for name in node.inputs])
                total = total + needed * reach[node.name] * price
                for name, others in _others(node.op, node.inputs, reach, one):
                    needs.setdefault(name, []).append(needed * others)
        return total

    def _alternatives(self, choice: Choice, paths: Sequence[tuple[str, Tensor]]) -> list[Tensor]:
        """Return the chances of a choice's branches, those that exclude each other added up."""
        sums: dict[tuple[int, ...], Tensor] = {}
        for candidate, chance in paths:
            index = self._index[choice.decision][candidate]
            group = () if self._exclusive[choice.decision] else self._groups[choice.decision][index]
            sums[group] = sums[group] + chance if group in sums else chance
        return list(sums.values())

    def _chance(self, choice: Choice, candidate: str, probabilities: Probabilities) -> Tensor:
        return probabilities[choice.decision][self._index[choice.decision][candidate]]


def _runs(op: Operation, inputs: Sequence[str], reach: Mapping[str, Tensor], one: Tensor) -> Tensor:
    """Return the chance that `op` has what it needs: all inputs, or any summand."""
    combine = _any if isinstance(op, Add) else _all
    return combine([reach[name] for name in inputs], one)


def _others(
    op: Operation, inputs: Sequence[str], reach: Mapping[str, Tensor], one: Tensor
) -> Iterator[tuple[str, Tensor]]:
    """Yield each input with the chance that `op` runs, given that this one is there."""
    for name in inputs:
        yield name, one if isinstance(op, Add) else _all([reach[other] for other in inputs if other != name], one)


def by_exit(spec: NetworkSpec, price: Price) -> NDArray[np.float64]:
    """Return the cumulative prices (exits,) of a network's operations."""
    shapes = spec.shapes
    return np.cumsum([sum(price(n.op, [shapes[name] for name in n.inputs]) for n in stage) for stage in spec.stages])


def _any(chances: Sequence[Tensor], one: Tensor) -> Tensor:
    none = one
    for chance in chances:
        none = none * (1 - chance)
    return 1 - none


def _all(chances: Sequence[Tensor], one: Tensor) -> Tensor:
    product = one
    for chance in chances:
        product = product * chance
    return product


def macs(space: SearchSpace) -> GraphCost:
    """Price a space in multiply-accumulates for one image."""
    return GraphCost(space, "MACs", lambda op, inputs: op.macs(inputs))


def params(space: SearchSpace) -> GraphCost:
    """Price a space in learnable parameters."""
    return GraphCost(space, "parameters", lambda op, inputs: op.params())


def memory_accesses(op: Operation, inputs: Sequence[Shape]) -> float:
    """Return how many numbers `op` reads and writes for one image, weights included (ShuffleNetV2 §2)."""
    return sum(math.prod(shape) for shape in [*inputs, op.output(inputs)]) + op.params()
