"""What an architecture costs without training: multiply-accumulates, parameters, or any other price per operation."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mango_grader.automl.architecture import Architecture
from mango_grader.automl.graph import Branch, Choice, Choices, Logic, Reachability
from mango_grader.automl.search_space import SearchSpace
from mango_grader.models.operations import Operation, Shape
from mango_grader.models.spec import NetworkSpec

Probabilities = Mapping[str, Tensor]


class CostModel(Protocol):
    """A price in `unit`, by operation, by block and by exit."""

    unit: str

    def operation(self, decision: str, candidate: str) -> float:
        """Return what choosing `candidate` adds, summed over all places that share the decision."""

    def by_block(self, choices: Choices) -> dict[str, float]:
        """Return the cost of each block by its name, the part before "/" that its nodes share, in network order."""

    def exact(self, architecture: Architecture) -> NDArray[np.float64]:
        """Return the cumulative cost (exits,); dead nodes cost nothing."""

    def expected(self, probabilities: Probabilities) -> Tensor:
        """Return the differentiable expected cumulative cost (exits,) under (candidates,) tensors per decision."""


Price = Callable[[Operation, Sequence[Shape]], float]


class GraphCost:
    """A price for each operation, summed over a space's graph.

    Args:
        space: whose architectures are priced.
        unit: what is counted, such as "MACs" or "ms".
        price: from an operation and its inputs' shapes (channels, height, width) to its price, 0 or more.
        base: (exits,), what a run up to each exit costs beside its operations; None for nothing.
    """

    def __init__(self, space: SearchSpace, unit: str, price: Price, base: NDArray[np.float64] | None = None) -> None:
        self.unit = unit
        self._space, self._price = space, price
        self._base = np.zeros(len(space.graph.exits)) if base is None else base
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

    def by_block(self, choices: Choices) -> dict[str, float]:
        """Return the cost of each block of which `choices` keep something, by name in network order.

        Args:
            choices: by decision, the candidates that are kept; they need not be a legal choice.
        """
        spec = self._space.graph.derive(choices)
        blocks: dict[str, float] = {}
        for node in spec.nodes:
            block = node.name.split("/")[0]
            price = self._price(node.op, [spec.shapes[name] for name in node.inputs])
            blocks[block] = blocks.get(block, 0.0) + price
        return blocks

    def exact(self, architecture: Architecture) -> NDArray[np.float64]:
        """Return the cumulative cost (exits,) of the derived network."""
        return by_exit(self._space.derive(architecture), self._price) + self._base

    def expected(self, probabilities: Probabilities) -> Tensor:
        """Return E[cost] per exit, exact where every probability is 0 or 1; the tensors' gradients are kept.

        A node counts with the probability that the image reaches it, times that of an exit needing it if so. What
        candidates add that exclude each other is summed; all else is taken as independent, and combined by noisy or.

        Args:
            probabilities: by decision, how likely each candidate is to be chosen, (candidates,).

        Returns:
            The expected cumulative cost, (exits,).
        """
        graph, likely = self._space.graph, _Likely(self._space, next(iter(probabilities.values())))
        index, shapes = self._index, graph.shapes

        def chosen(choice: Choice) -> Iterator[tuple[Branch, Tensor]]:
            chances = probabilities[choice.decision]
            return ((branch, chances[index[choice.decision][branch.candidate]]) for branch in choice.branches)

        reachability, totals = Reachability(graph, chosen, likely), []
        for last in range(len(graph.exits)):
            total = torch.zeros_like(likely.sure)
            for each in reachability.running(graph.exits[: last + 1]):
                total = total + each.chance * self._price(each.op, [shapes[name] for name in each.inputs])
            totals.append(total)
        costs = torch.stack(totals)
        return costs + torch.as_tensor(self._base).to(costs)


class _Likely(Logic[Tensor]):
    """The logic of relaxed decisions: everything runs with some chance, independently of all else."""

    def __init__(self, space: SearchSpace, like: Tensor) -> None:
        self.sure = like.new_ones(())
        # Candidates of one group exclude each other; None: of all a decision's candidates.
        self._groups = {
            decision.name: {
                candidate: None if decision.max_chosen == 1 else decision.group_of(place)
                for place, candidate in enumerate(decision.candidates)
            }
            for decision in space.decisions
        }

    def both(self, one: Tensor, other: Tensor) -> Tensor:
        """Return the product of the chances."""
        return one * other

    def some(self, values: Sequence[Tensor]) -> Tensor:
        """Return the noisy or of the chances."""
        none = self.sure
        for chance in values:
            none = none * (1 - chance)
        return 1 - none

    def of_branches(self, choice: Choice, values: Sequence[tuple[Branch, Tensor]]) -> list[Tensor]:
        """Return the chances of a choice's branches, those that exclude each other added up."""
        sums: dict[tuple[int, ...] | None, Tensor] = {}
        for branch, chance in values:
            group = self._groups[choice.decision][branch.candidate]
            sums[group] = sums[group] + chance if group in sums else chance
        return list(sums.values())


def by_exit(spec: NetworkSpec, price: Price) -> NDArray[np.float64]:
    """Return the cumulative prices (exits,) of a network's operations.

    Args:
        spec: the network.
        price: from an operation and its inputs' shapes to its price.
    """
    shapes = spec.shapes
    return np.cumsum([sum(price(n.op, [shapes[name] for name in n.inputs]) for n in stage) for stage in spec.stages])


def macs(space: SearchSpace) -> GraphCost:
    """Price a space in multiply-accumulates for one image."""
    return GraphCost(space, "MACs", lambda op, inputs: op.macs(inputs))


def params(space: SearchSpace) -> GraphCost:
    """Price a space in learnable parameters."""
    return GraphCost(space, "parameters", lambda op, inputs: op.params())


def memory_accesses(op: Operation, inputs: Sequence[Shape]) -> float:
    """Return how many numbers an operation reads and writes for one image, weights included (ShuffleNetV2 §2).

    Args:
        op: the operation.
        inputs: shapes (channels, height, width) of what it reads.
    """
    return sum(math.prod(shape) for shape in [*inputs, op.output(inputs)]) + op.params()
