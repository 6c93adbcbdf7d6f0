"""What an architecture costs, known at once and without training: multiply-accumulates and parameters."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mango_grader.automl.architecture import Architecture
from mango_grader.automl.graph import Choice
from mango_grader.automl.spaces import SearchSpace
from mango_grader.models.operations import Add, Operation, Shape
from mango_grader.models.spec import IMAGE

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


class GraphCost:
    """A price per operation, summed over a space's graph."""

    def __init__(self, space: SearchSpace, unit: str, price: Callable[[Operation, Sequence[Shape]], float]) -> None:
        self.unit = unit
        self._space, self._price = space, price
        self._index = {d.name: {c: i for i, c in enumerate(d.candidates)} for d in space.decisions}

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
        spec = self._space.resolve(architecture)
        blocks: dict[str, float] = {}
        for node in spec.nodes:
            block = node.name.split("/")[0]
            price = self._price(node.op, [spec.shapes[name] for name in node.inputs])
            blocks[block] = blocks.get(block, 0.0) + price
        return np.array(list(blocks.values()))

    def exact(self, architecture: Architecture) -> NDArray[np.float64]:
        """Return the cumulative cost (exits,) of the derived network."""
        spec = self._space.resolve(architecture)
        prices = [
            sum(self._price(node.op, [spec.shapes[name] for name in node.inputs]) for node in stage)
            for stage in spec.stages
        ]
        return np.cumsum(prices)

    def expected(self, probabilities: Probabilities) -> Tensor:
        """Return E[cost] per exit, exact where every probability is 0 or 1.

        A node counts with the probability that the image reaches it and that an exit needs it, both by noisy or, which
        takes the alternatives as independent. The tensors' gradients are kept.
        """
        like = next(iter(probabilities.values()))
        reach = self._reach(probabilities, like)
        exits = self._space.graph.exits
        return torch.stack([self._expected(probabilities, reach, exits[: k + 1], like) for k in range(len(exits))])

    def _reach(self, probabilities: Probabilities, like: Tensor) -> dict[str, Tensor]:
        one = like.new_ones(())
        reach = {IMAGE: one}
        for node in self._space.graph.nodes:
            if isinstance(node, Choice):
                paths = [
                    self._chance(node, b.candidate, probabilities) * _all([reach[name] for name in b.inputs], one)
                    for b in node.branches
                    if b.op is not None
                ]
                reach[node.name] = _any(paths, one)
            else:
                combine = _any if isinstance(node.op, Add) else _all
                reach[node.name] = combine([reach[name] for name in node.inputs], one)
        return reach

    def _expected(
        self, probabilities: Probabilities, reach: Mapping[str, Tensor], exits: Sequence[str], like: Tensor
    ) -> Tensor:
        one = like.new_ones(())
        shapes = self._space.graph.shapes
        needs: dict[str, list[Tensor]] = {name: [one] for name in exits}
        total = like.new_zeros(())
        for node in reversed(self._space.graph.nodes):
            wanted = _any(needs.get(node.name, []), one) * reach[node.name]
            if isinstance(node, Choice):
                for branch in node.branches:
                    if branch.op is None:
                        continue
                    chance = self._chance(node, branch.candidate, probabilities)
                    runs = wanted * chance * _all([reach[name] for name in branch.inputs], one)
                    total = total + runs * self._price(branch.op, [shapes[name] for name in branch.inputs])
                    for name in branch.inputs:
                        needs.setdefault(name, []).append(runs)
            else:
                total = total + wanted * self._price(node.op, [shapes[name] for name in node.inputs])
                for name in node.inputs:
                    needs.setdefault(name, []).append(wanted)
        return total

    def _chance(self, choice: Choice, candidate: str, probabilities: Probabilities) -> Tensor:
        return probabilities[choice.decision][self._index[choice.decision][candidate]]


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


def memory(space: SearchSpace) -> GraphCost:
    """Price a space in memory accesses for one image: numbers read and written, weights included (ShuffleNetV2 §2)."""
    return GraphCost(space, "memory accesses", _accesses)


def _accesses(op: Operation, inputs: Sequence[Shape]) -> float:
    return sum(math.prod(shape) for shape in [*inputs, op.output(inputs)]) + op.params()
