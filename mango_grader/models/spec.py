"""NetworkSpec: a whole network as plain data, between search, training, pricing, drawing and export. No torch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from mango_grader.models.operations import Operation, Shape

IMAGE = "image"  # the name under which nodes refer to the network's input


@dataclass(frozen=True)
class Node:
    """One operation in a network.

    Attributes:
        name: of the node and of its output, unique in the network.
        op: what is computed.
        inputs: names of earlier nodes, or `IMAGE`, whose outputs it is computed from.
    """

    name: str
    op: Operation
    inputs: tuple[str, ...]


@dataclass(frozen=True)
class NetworkSpec:
    """A whole network as plain data: a graph of operations, some of which are exits.

    Nodes that no exit depends on are dropped at construction.

    Attributes:
        input: shape of the image, (3, H, W).
        nodes: in topological order.
        exits: names of the nodes that are exits, earliest first, at least one.

    Raises:
        ValueError: if a name is unknown or repeated, if shapes do not fit, or if there is no exit.

    Example:
        >>> from mango_grader.models.operations import Classifier, Convolution
        >>> spec = NetworkSpec(
        ...     input=(3, 64, 64),
        ...     nodes=(
        ...         Node("stem", Convolution(3, 16, kernel=3, stride=2), ("image",)),
        ...         Node("exit1", Classifier(16, classes=3), ("stem",)),
        ...         Node("body", Convolution(16, 32, kernel=3, stride=2), ("stem",)),
        ...         Node("exit2", Classifier(32, classes=3), ("body",)),
        ...     ),
        ...     exits=("exit1", "exit2"),
        ... )
        >>> spec.shapes["body"]
        (32, 16, 16)
        >>> spec.macs(), spec.params()
        ((442416, 1622160), (515, 5286))
        >>> NetworkSpec.from_dict(spec.to_dict()) == spec
        True
    """

    input: Shape
    nodes: tuple[Node, ...]
    exits: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.exits:
            raise ValueError("a network needs at least one exit")
        used = live_nodes(self.nodes, self.exits)
        object.__setattr__(self, "nodes", tuple(node for node in self.nodes if node.name in used))
        if missing := set(self.exits) - {node.name for node in self.nodes}:
            raise ValueError(f"exits that no node makes: {', '.join(sorted(missing))}")
        _ = self.shapes

    @cached_property
    def shapes(self) -> Mapping[str, Shape]:
        """Output shape of every node, and of the image: name → (channels, height, width)."""
        shapes = {IMAGE: self.input}
        for node in self.nodes:
            if node.name in shapes:
                raise ValueError(f"node {node.name!r} appears twice")
            if unknown := [name for name in node.inputs if name not in shapes]:
                raise ValueError(f"node {node.name!r} comes before its inputs {unknown}")
            shapes[node.name] = node.op.output([shapes[name] for name in node.inputs])
        return shapes

    @property
    def classes(self) -> int:
        """Number of classes that every exit distinguishes."""
        return self.shapes[self.exits[0]][0]

    @cached_property
    def stages(self) -> tuple[tuple[Node, ...], ...]:
        """For each exit, the nodes that it needs and no earlier exit did: what runs between two exits."""
        done: set[str] = set()
        stages = []
        for name in self.exits:
            needed = live_nodes(self.nodes, [name]) - done
            stages.append(tuple(node for node in self.nodes if node.name in needed))
            done |= needed
        return tuple(stages)

    @cached_property
    def carried(self) -> tuple[tuple[str, ...], ...]:
        """For each exit but the last, the names of the outputs that later stages still need, in node order."""
        carried = []
        for index in range(len(self.exits) - 1):
            needed = {name for stage in self.stages[index + 1 :] for node in stage for name in node.inputs}
            made = [IMAGE, *(node.name for stage in self.stages[: index + 1] for node in stage)]
            carried.append(tuple(name for name in made if name in needed))
        return tuple(carried)

    def node_macs(self) -> Mapping[str, int]:
        """Return the multiply-accumulates for one image, by node."""
        return {node.name: node.op.macs([self.shapes[name] for name in node.inputs]) for node in self.nodes}

    def macs(self) -> tuple[int, ...]:
        """Return the multiply-accumulates for one image up to and with each exit, (K,); earlier heads count."""
        return self._cumulative(self.node_macs())

    def params(self) -> tuple[int, ...]:
        """Return the learnable parameters up to and with each exit, (K,)."""
        return self._cumulative({node.name: node.op.params() for node in self.nodes})

    def _cumulative(self, cost: Mapping[str, int]) -> tuple[int, ...]:
        sums, total = [], 0
        for stage in self.stages:
            total += sum(cost[node.name] for node in stage)
            sums.append(total)
        return tuple(sums)

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-safe plain data."""
        nodes = [{"name": n.name, "op": n.op.to_dict(), "inputs": list(n.inputs)} for n in self.nodes]
        return {"input": list(self.input), "nodes": nodes, "exits": list(self.exits)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "NetworkSpec":
        """Rebuild from the data of `to_dict`.

        Args:
            data: plain data, of a network.json for example.

        Raises:
            ValueError: where it describes no network.
        """
        nodes = (Node(n["name"], Operation.from_dict(n["op"]), tuple(n["inputs"])) for n in data["nodes"])
        channels, height, width = data["input"]
        return cls((channels, height, width), tuple(nodes), tuple(data["exits"]))


def live_nodes(nodes: Sequence[Node], ends: Sequence[str]) -> set[str]:
    """Return the names of the nodes that some nodes depend on, themselves included.

    Args:
        nodes: in topological order.
        ends: names of the nodes whose dependencies are looked for.
    """
    needed = set(ends)
    for node in reversed(nodes):
        if node.name in needed:
            needed.update(node.inputs)
    return needed & {node.name for node in nodes}
