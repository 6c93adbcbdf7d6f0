"""NetworkSpec: a whole network as plain data, between search, training, pricing, drawing and export. No torch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from mango_grader.models.operations import Operation, Shape

IMAGE = "image"  # the name under which nodes refer to the network's input


@dataclass(frozen=True)
class Node:
    """`op` applied to the outputs of `inputs` (names of earlier nodes, or `IMAGE`)."""

    name: str
    op: Operation
    inputs: tuple[str, ...]


@dataclass(frozen=True)
class NetworkSpec:
    """A graph of nodes in topological order, and the nodes that are its exits, earliest first.

    `input` is (3, H, W). Nodes that reach no exit are dropped at construction. Raises ValueError if a name is unknown
    or repeated, if shapes do not fit, or if an exit is missing.
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
        """Every node's output shape, the image's included."""
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
        """The number of classes that every exit tells apart."""
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
        """Multiply-accumulates for one image, by node."""
        return {node.name: node.op.macs([self.shapes[name] for name in node.inputs]) for node in self.nodes}

    def macs(self) -> tuple[int, ...]:
        """Multiply-accumulates for one image up to and including each exit, earlier exits' heads included."""
        return self._cumulative(self.node_macs())

    def params(self) -> tuple[int, ...]:
        """Learnable parameters up to and including each exit."""
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
        """Rebuild from `to_dict`'s data; raises ValueError where it describes no network."""
        nodes = (Node(n["name"], Operation.from_dict(n["op"]), tuple(n["inputs"])) for n in data["nodes"])
        channels, height, width = data["input"]
        return cls((channels, height, width), tuple(nodes), tuple(data["exits"]))


def live_nodes(nodes: Sequence[Node], ends: Sequence[str]) -> set[str]:
    """Return the names of the nodes that `ends` depend on, themselves included."""
    needed = set(ends)
    for node in reversed(nodes):
        if node.name in needed:
            needed.update(node.inputs)
    return needed & {node.name for node in nodes}
