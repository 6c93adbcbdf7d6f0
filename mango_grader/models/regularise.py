"""Regularisation that a network has in training only, as transformations of its plain data.

Existing nodes keep their names, so that weights learned under these transformations load into the plain network, which
is the one that is measured and exported.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from mango_grader.errors import UsageError
from mango_grader.models.operations import Add, Classifier, Concat, DropPath, Identity, ScaleGradient
from mango_grader.models.spec import IMAGE, NetworkSpec, Node, live_nodes

AUXILIARY = "auxiliary"  # the name of the extra exit, the last one
_DEPTH = 2 / 3  # of the multiply-accumulates: the end of the second of three stages in DSO-NAS (§4.2)
_WIDTH = 128  # channels of the auxiliary head (our reading), as in the heads of ENAS and DARTS


def with_dropout(spec: NetworkSpec, rate: float) -> NetworkSpec:
    """Return the network with dropout before the linear layer of every exit.

    Args:
        spec: the plain network.
        rate: probability, from 0 to below 1.
    """
    nodes = (
        replace(node, op=replace(node.op, dropout=rate)) if isinstance(node.op, Classifier) else node
        for node in spec.nodes
    )
    return NetworkSpec(spec.input, tuple(nodes), spec.exits)


def with_drop_path(spec: NetworkSpec, rate: float) -> NetworkSpec:
    """Return the network with drop path on the inputs of sums that are no identity paths.

    Source: Larsson et al. (2017). What an identity path is, is our reading: where all other inputs of a sum are
    computed from one of them, that one (of a residual block) stays and the others are dropped, each by itself.
    Elsewhere (a node of a DARTS cell) what was computed for this sum alone is dropped. A sum on every path to the last
    exit keeps its first input, so that no image is lost.

    Args:
        spec: the plain network.
        rate: probability, from 0 to below 1.
    """
    paths, nodes = _Paths(spec), []
    for node in spec.nodes:
        inputs = list(node.inputs)
        if isinstance(node.op, Add):
            for place in paths.droppable(node):
                drop = Node(f"{node.name}/drop_path{place}", DropPath(rate), (inputs[place],))
                nodes.append(drop)
                inputs[place] = drop.name
        nodes.append(replace(node, inputs=tuple(inputs)))
    return NetworkSpec(spec.input, tuple(nodes), spec.exits)


def with_exit_gradient(spec: NetworkSpec, factor: float) -> NetworkSpec:
    """Return the network with a smaller gradient from earlier exits to the features that they share with later ones.

    The exits themselves learn as before. At 0, earlier exits do not influence the shared features at all.

    Args:
        spec: the plain network.
        factor: share of the gradient that is passed on, 0 to 1.
    """
    early, nodes = {_block_of(name) for name in spec.exits[:-1]}, []
    for node in spec.nodes:
        inputs = list(node.inputs)
        if _block_of(node.name) in early:
            for place, name in enumerate(inputs):
                if _block_of(name) != _block_of(node.name):
                    scaled = Node(f"{node.name}/scaled{place}", ScaleGradient(factor), (name,))
                    nodes.append(scaled)
                    inputs[place] = scaled.name
        nodes.append(replace(node, inputs=tuple(inputs)))
    return NetworkSpec(spec.input, tuple(nodes), spec.exits)


def with_auxiliary(spec: NetworkSpec) -> NetworkSpec:
    """Return the network with one more exit, `AUXILIARY`, after the block nearest to 2/3 of the last exit's MACs.

    Blocks that feed an exit already are taken only where there is no other in the last two thirds.

    Raises:
        UsageError: for a network without blocks, such as a torchvision model.
    """
    heads = {_block_of(name) for name in spec.exits}
    ends = {block: node.name for node in spec.nodes if (block := _block_of(node.name)) not in heads}
    if not ends:
        raise UsageError("train.auxiliary: this network has no place for an auxiliary exit; set it to 0")
    feeding = {name for node in spec.nodes if _block_of(node.name) in heads for name in node.inputs}
    costs = spec.node_macs()

    def macs(name: str) -> int:
        return sum(costs[needed] for needed in live_nodes(spec.nodes, [name]))

    total = macs(spec.exits[-1])
    away = {name: abs(macs(name) / total - _DEPTH) for name in ends.values()}
    free = [name for name in away if name not in feeding and away[name] <= 1 / 3]
    feature = min(free or away, key=lambda name: away[name])
    head = Node(AUXILIARY, Classifier(spec.shapes[feature][0], spec.classes, hidden=_WIDTH), (feature,))
    return NetworkSpec(spec.input, (*spec.nodes, head), (*spec.exits, AUXILIARY))


def _block_of(name: str) -> str:
    return name.partition("/")[0]


class _Paths:
    """Which nodes every node depends on, and how many read it."""

    def __init__(self, spec: NetworkSpec) -> None:
        self._spec = spec
        self._ops = {node.name: node.op for node in spec.nodes}
        self._readers = Counter(name for node in spec.nodes for name in node.inputs)
        self._behind: dict[str, set[str]] = {IMAGE: {IMAGE}}
        for node in spec.nodes:
            self._behind[node.name] = {node.name}.union(*(self._behind[name] for name in node.inputs))

    def droppable(self, node: Node) -> Sequence[int]:
        """Return which inputs of a sum are no identity paths."""
        inputs = node.inputs
        for name in inputs:
            if all(name in self._behind[other] for other in inputs):
                return [place for place, other in enumerate(inputs) if not self._is(other, (Identity, DropPath), name)]
        kept = (Add, Concat, Identity, DropPath)
        alone = [place for place, name in enumerate(inputs) if self._readers[name] == 1 and not self._is(name, kept)]
        return alone[1:] if len(alone) == len(inputs) and self._carries_all(node.name) else alone

    def _is(self, name: str, kinds: tuple[type, ...], itself: str = IMAGE) -> bool:
        return name in (itself, IMAGE) or isinstance(self._ops[name], kinds)

    def _carries_all(self, name: str) -> bool:
        """Whether every path from the image to the last exit passes through the node."""
        reached = {IMAGE}
        for node in self._spec.nodes:
            if node.name != name and not reached.isdisjoint(node.inputs):
                reached.add(node.name)
        return self._spec.exits[-1] not in reached
