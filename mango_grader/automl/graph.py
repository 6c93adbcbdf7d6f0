"""SearchGraph: a network with open choices. Super net, plain network and prices are all read off this one graph.

A search space is written once, as such a graph. Deriving an architecture keeps the chosen branches under the very names
that their modules have in the super net, so that weights carry over by name.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, reduce
from typing import Generic, NamedTuple, TypeVar

from mango_grader.models.operations import Add, Identity, InvertedResidual, Operation, Shape, Zero
from mango_grader.models.spec import IMAGE, NetworkSpec, Node

SUM = Add(activate=False)
"""How the branches that a decision chooses come together."""

T = TypeVar("T")
Choices = Mapping[str, tuple[str, ...]]
"""The chosen candidates, by decision."""


@dataclass(frozen=True)
class Branch:
    """What a candidate does at one choice.

    Attributes:
        candidate: the candidate's name.
        op: the operation that it runs; None where it adds nothing.
        inputs: names of the nodes or choices that `op` reads.
    """

    candidate: str
    op: Operation | None = None
    inputs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Choice:
    """The (gated) sum of the branches that a decision chooses. Several choices may share a decision.

    Attributes:
        name: of the choice, and of its output.
        decision: name of the decision.
        branches: what each of the decision's candidates does here.
        shared: the operation whose weights all branches share, each a slice of them; None where each has its own.
    """

    name: str
    decision: str
    branches: tuple[Branch, ...]
    shared: InvertedResidual | None = None

    def module_name(self, branch: Branch) -> str:
        """Return the name that the branch's module has in super nets and derived networks alike."""
        return f"{self.name}/{branch.candidate}"


@dataclass(frozen=True)
class SearchGraph:
    """A network some of whose nodes are choices; raises ValueError if branches of one choice differ in shape.

    Attributes:
        input: shape of the image, (3, height, width).
        nodes: nodes and choices in topological order.
        exits: names of the nodes that answer, earliest first.
    """

    input: Shape
    nodes: tuple[Node | Choice, ...]
    exits: tuple[str, ...]

    def __post_init__(self) -> None:
        _ = self.shapes

    @cached_property
    def shapes(self) -> Mapping[str, Shape]:
        """Every node's and choice's output shape, the image's included."""
        shapes = {IMAGE: self.input}
        for node in self.nodes:
            if isinstance(node, Node):
                shapes[node.name] = node.op.output([shapes[name] for name in node.inputs])
                continue
            made = {b.op.output([shapes[name] for name in b.inputs]) for b in node.branches if b.op is not None}
            if len(made) != 1:
                raise ValueError(f"choice {node.name!r} mixes shapes {sorted(made)}")
            shapes[node.name] = made.pop()
        return shapes

    def derive(self, choices: Choices) -> NetworkSpec:
        """Return the plain network in which `choices` hold."""

        def chosen(choice: Choice) -> Iterator[tuple[Branch, bool]]:
            return ((branch, True) for branch in choice.branches if branch.candidate in choices[choice.decision])

        runs = {each.name for each in Reachability(self, chosen, Certain()).running(self.exits) if each.chance}
        nodes: list[Node] = []
        stands_for = {IMAGE: IMAGE}  # the name in the plain network of everything that runs
        zeros = {node.name for node in self.nodes if isinstance(node, Node) and isinstance(node.op, Zero)}
        for node in self.nodes:
            if isinstance(node, Choice):
                made = [
                    _append(nodes, stands_for, node.module_name(branch), branch.op, branch.inputs)
                    for branch in node.branches
                    if branch.op is not None and node.module_name(branch) in runs
                ]
                if len(made) > 1:
                    nodes.append(Node(node.name, SUM, tuple(made)))
                if made:
                    stands_for[node.name] = node.name if len(made) > 1 else made[0]
            elif node.name in runs:
                inputs = tuple(stands_for[name] for name in node.inputs if name in stands_for)
                if node.op.optional_inputs:  # zero beside other summands is nothing
                    inputs = tuple(name for name in inputs if name not in zeros) or inputs
                stands_for[node.name] = node.name
                nodes.append(Node(node.name, node.op, inputs))
        return NetworkSpec(self.input, tuple(nodes), self.exits)


def _append(nodes: list[Node], stands_for: Mapping[str, str], name: str, op: Operation, inputs: Sequence[str]) -> str:
    """Append a branch that runs, and return the name of its output; an identity is its input."""
    present = tuple(stands_for[each] for each in inputs if each in stands_for)
    if isinstance(op, Identity):
        return present[0]
    nodes.append(Node(name, op, present))
    return name


class Logic(ABC, Generic[T]):
    """How it follows from one thing running that another runs: for sure, or with some chance.

    Attributes:
        sure: the value of what runs in any case.
    """

    sure: T

    @abstractmethod
    def both(self, one: T, other: T) -> T:
        """Return whether both are so."""

    @abstractmethod
    def some(self, values: Sequence[T]) -> T:
        """Return whether any of these is so."""

    def never(self, value: T) -> bool:
        """Return whether nothing that depends on this need be looked at."""
        return False

    def every(self, values: Sequence[T]) -> T:
        """Return whether all of these are so; `sure` for none."""
        return reduce(self.both, values, self.sure)

    def of_branches(self, choice: Choice, values: Sequence[tuple[Branch, T]]) -> list[T]:
        """Return the values of a choice's branches, those that exclude each other brought together."""
        return [value for _, value in values]


class Certain(Logic[bool]):
    """The logic of an architecture: everything runs, or it does not."""

    sure = True

    def both(self, one: bool, other: bool) -> bool:
        """Return whether both are true."""
        return one and other

    def never(self, value: bool) -> bool:
        """Return whether it is false."""
        return not value

    def some(self, values: Sequence[bool]) -> bool:
        """Return whether any is true."""
        return any(values)


class Running(NamedTuple, Generic[T]):
    """An operation of a search graph.

    Attributes:
        name: of its node, or of its branch's module.
        op: the operation.
        inputs: names of the nodes or choices that it reads.
        chance: whether it runs, or how likely it does.
    """

    name: str
    op: Operation
    inputs: tuple[str, ...]
    chance: T


@dataclass(frozen=True)
class Reachability(Generic[T]):
    """What runs of a search graph: what the image reaches, and an exit needs.

    An operation has what it needs where all of its inputs are there; one with `optional_inputs`, such as a sum, where
    any of them is.

    Attributes:
        graph: the search graph.
        chosen: from a choice to those of its branches that may be chosen, each with whether it is.
        logic: how such values combine: those of an architecture, or of decisions that are still open.
    """

    graph: SearchGraph
    chosen: Callable[[Choice], Iterable[tuple[Branch, T]]]
    logic: Logic[T]

    @cached_property
    def reached(self) -> Mapping[str, T]:
        """Whether the image reaches each node and choice."""
        logic, reached = self.logic, {IMAGE: self.logic.sure}
        for node in self.graph.nodes:
            if isinstance(node, Choice):
                there = [
                    (branch, logic.both(chance, self._has_inputs(branch.op, branch.inputs, reached)))
                    for branch, chance in self.chosen(node)
                    if branch.op is not None
                ]
                reached[node.name] = logic.some(logic.of_branches(node, there))
            else:
                reached[node.name] = self._has_inputs(node.op, node.inputs, reached)
        return reached

    def running(self, exits: Sequence[str]) -> Iterator[Running[T]]:
        """Yield every operation that may run for any of `exits`, the last one first, with whether it does."""
        logic, reached = self.logic, self.reached
        needs: dict[str, list[T]] = {name: [logic.sure] for name in exits}
        for node in reversed(self.graph.nodes):
            needed = logic.some(needs.get(node.name, []))  # if the image reaches it
            if logic.never(needed):
                continue
            if isinstance(node, Node):
                yield Running(node.name, node.op, node.inputs, logic.both(needed, reached[node.name]))
                for name, share in self._passed_on(node.op, node.inputs, needed):
                    needs.setdefault(name, []).append(share)
                continue
            asked: dict[str, list[tuple[Branch, T]]] = {}
            for branch, chance in self.chosen(node):
                if branch.op is None:
                    continue
                wanted = logic.both(needed, chance)
                runs = logic.both(wanted, self._has_inputs(branch.op, branch.inputs, reached))
                yield Running(node.module_name(branch), branch.op, branch.inputs, runs)
                for name, share in self._passed_on(branch.op, branch.inputs, wanted):
                    asked.setdefault(name, []).append((branch, share))
            for name, shares in asked.items():
                needs.setdefault(name, []).extend(logic.of_branches(node, shares))

    def _has_inputs(self, op: Operation, inputs: Sequence[str], reached: Mapping[str, T]) -> T:
        combine = self.logic.some if op.optional_inputs else self.logic.every
        return combine([reached[name] for name in inputs])

    def _passed_on(self, op: Operation, inputs: Sequence[str], needed: T) -> Iterator[tuple[str, T]]:
        """Yield each input with whether `op` needs it: it is needed itself, and the other inputs are there."""
        for name in inputs:
            others = () if op.optional_inputs else [self.reached[other] for other in inputs if other != name]
            yield name, self.logic.both(needed, self.logic.every(others))


class GraphBuilder:
    """A search graph in the making: it knows the shape of everything that was added so far.

    Args:
        height: of the image in pixels.
        width: of the image in pixels.

    Attributes:
        shapes: output shape (channels, height, width) of everything so far, the image's included.
    """

    def __init__(self, height: int, width: int) -> None:
        self.shapes: dict[str, Shape] = {IMAGE: (3, height, width)}
        self._nodes: list[Node | Choice] = []
        self._exits: list[str] = []

    def add(self, name: str, op: Operation, *inputs: str) -> str:
        """Append a node and return its name.

        Args:
            name: of the node and of its output.
            op: its operation.
            *inputs: names of what it reads.
        """
        self._nodes.append(Node(name, op, inputs))
        self.shapes[name] = op.output([self.shapes[each] for each in inputs])
        return name

    def choose(
        self, name: str, decision: str, branches: Iterable[Branch], shared: InvertedResidual | None = None
    ) -> str:
        """Append a choice and return its name.

        Args:
            name: of the choice and of its output.
            decision: name of the decision.
            branches: what each candidate does here; at least one of them does something.
            shared: the operation whose weights all branches share; None where each has its own.
        """
        choice = Choice(name, decision, tuple(branches), shared)
        self._nodes.append(choice)
        self.shapes[name] = next(
            branch.op.output([self.shapes[each] for each in branch.inputs]) for branch in choice.branches if branch.op
        )
        return name

    def exit(self, number: int, op: Operation, source: str) -> None:
        """Append a classifier and make it the next exit.

        Args:
            number: of the layer or block behind which it sits, for its name.
            op: the classifier.
            source: name of what it reads.
        """
        self._exits.append(self.add(f"exit{number}", op, source))

    def finish(self) -> SearchGraph:
        """Return the graph; raises ValueError where the branches of a choice differ in shape."""
        return SearchGraph(self.shapes[IMAGE], tuple(self._nodes), tuple(self._exits))
