"""SearchGraph: a network with open choices. Super net, plain network and prices are all read off this one graph.

A search space is written once, as such a graph. Deriving an architecture keeps the chosen branches under the very names
that their modules have in the super net, so that weights carry over by name.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from mango_grader.models.operations import Add, Identity, Operation, Shape, Zero
from mango_grader.models.spec import IMAGE, NetworkSpec, Node


@dataclass(frozen=True)
class Branch:
    """What a candidate does at one choice: `op` on `inputs`, or nothing where `op` is None."""

    candidate: str
    op: Operation | None = None
    inputs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Choice:
    """The (gated) sum of the branches that `decision` chooses. Several choices may share a decision."""

    name: str
    decision: str
    branches: tuple[Branch, ...]

    def module_name(self, branch: Branch) -> str:
        """Return the name that the branch's module has in super nets and derived networks alike."""
        return f"{self.name}/{branch.candidate}"


@dataclass(frozen=True)
class SearchGraph:
    """Nodes and choices in topological order; raises ValueError if branches of one choice differ in shape."""

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

    def derive(self, choices: Mapping[str, tuple[str, ...]]) -> NetworkSpec:
        """Return the plain network in which `choices` (decision name → chosen candidates) hold."""
        nodes: list[Node] = []
        stands_for: dict[str, str | None] = {IMAGE: IMAGE}  # None: the architecture leaves it out
        zeros = {node.name for node in self.nodes if isinstance(node, Node) and isinstance(node.op, Zero)}
        for node in self.nodes:
            if isinstance(node, Choice):
                stands_for[node.name] = self._derive_choice(node, choices[node.decision], stands_for, nodes)
            else:
                inputs = resolved(node.inputs, stands_for, keep_rest=isinstance(node.op, Add))
                if isinstance(node.op, Add):  # zero beside other summands is nothing
                    inputs = tuple(name for name in inputs if name not in zeros) or inputs
                stands_for[node.name] = node.name if inputs else None
                if inputs:
                    nodes.append(Node(node.name, node.op, inputs))
        return NetworkSpec(self.input, tuple(nodes), self.exits)

    @staticmethod
    def _derive_choice(
        choice: Choice, chosen: tuple[str, ...], stands_for: Mapping[str, str | None], nodes: list[Node]
    ) -> str | None:
        made = []
        for branch in choice.branches:
            inputs = resolved(branch.inputs, stands_for, keep_rest=isinstance(branch.op, Add))
            if branch.candidate not in chosen or branch.op is None or not inputs:
                continue
            if isinstance(branch.op, Identity):
                made.append(inputs[0])
            else:
                nodes.append(Node(choice.module_name(branch), branch.op, inputs))
                made.append(nodes[-1].name)
        if len(made) > 1:
            nodes.append(Node(choice.name, Add(activate=False), tuple(made)))
            return choice.name
        return made[0] if made else None


def resolved(inputs: tuple[str, ...], stands_for: Mapping[str, str | None], *, keep_rest: bool) -> tuple[str, ...]:
    """Return the names that `inputs` stand for; empty if one is left out, unless the rest alone will do (a sum)."""
    names = [stands_for[name] for name in inputs]
    present = tuple(name for name in names if name is not None)
    return present if keep_rest or len(present) == len(names) else ()
