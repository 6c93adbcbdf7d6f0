"""The layout of a drawn network: graph nodes merged into blocks, and blocks placed on a grid."""

from collections import Counter
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace
from functools import cached_property

from mango_grader.models.operations import Classifier, Match, Operation, Shape
from mango_grader.models.spec import IMAGE, NetworkSpec, Node
from mango_grader.report.operation_labels import GLUE, short

Links = tuple[tuple[str, Operation | None], ...]


@dataclass(frozen=True)
class Block:
    """One box: consecutive nodes that share the part of their name before "/".

    Attributes:
        name: that part of the name.
        nodes: in the order of computation; the last node makes the output.
        links: the blocks that it reads, each with the operation that matches a skip's shape, if there is one.
        shape: of the output, (channels, height, width).
        macs: multiply-adds of each node.
        column: in the grid, from 0; the image is in column 0.
        row: in the grid, from 0.
    """

    name: str
    nodes: tuple[Node, ...]
    links: Links
    shape: Shape
    macs: tuple[int, ...]
    column: int = 0
    row: int = 0

    @cached_property
    def parts(self) -> Mapping[str, int]:
        """Its operations and the number of each, the costliest first; empty where it only passes features on."""
        cost: Counter[str] = Counter()
        count: Counter[str] = Counter()
        for node, macs in zip(self.nodes, self.macs, strict=True):
            if not isinstance(node.op, GLUE):
                cost[short(node.op)] += macs
                count[short(node.op)] += 1
        return {name: count[name] for name, _ in cost.most_common()}

    @property
    def op(self) -> Operation:
        """An operation of the costliest kind; the last one where the block only passes features on."""
        first = next(iter(self.parts), None)
        return next((node.op for node in self.nodes if short(node.op) == first), self.nodes[-1].op)


@dataclass(frozen=True)
class Exit:
    """An exit, drawn below the block that feeds it.

    Attributes:
        number: from 1.
        block: name of the block.
        macs: multiply-adds for one image, up to and with this exit.
    """

    number: int
    block: str
    macs: int


@dataclass(frozen=True)
class Layout:
    """Blocks and exits with their places.

    Attributes:
        blocks: by name, in the order of computation; the image is no block.
        exits: the first exit first.
    """

    blocks: Mapping[str, Block]
    exits: tuple[Exit, ...]

    @property
    def columns(self) -> int:
        """Number of columns, the image's included."""
        return 1 + max(block.column for block in self.blocks.values())

    @property
    def rows(self) -> int:
        """Number of rows."""
        return 1 + max(block.row for block in self.blocks.values())


def lay_out(spec: NetworkSpec) -> Layout:
    """Merge the nodes of a network into blocks and place them: depth from left to right, finer features above coarser.

    A block that only classifies becomes an exit of the block that it reads.
    """
    macs = spec.macs()
    blocks: dict[str, Block] = {}
    lies_in: dict[str, str] = {IMAGE: IMAGE}
    feeds: dict[str, str] = {}
    for name, nodes in _runs(spec.nodes).items():
        links = _links(nodes, lies_in)
        last = nodes[-1]
        lies_in |= {node.name: name for node in nodes}
        if isinstance(last.op, Classifier) and len(links) == 1 and links[0][0] != IMAGE and _ends(nodes, spec):
            feeds[last.name] = links[0][0]
            continue
        costs = tuple(node.op.macs([spec.shapes[source] for source in node.inputs]) for node in nodes)
        blocks[name] = Block(name, nodes, links, spec.shapes[last.name], costs)
    sources = [feeds.get(name, lies_in[name]) for name in spec.exits]
    exits = tuple(Exit(number, source, macs[number - 1]) for number, source in enumerate(sources, 1))
    return Layout(_place(blocks, {each.block for each in exits}), exits)


def _runs(nodes: Sequence[Node]) -> dict[str, tuple[Node, ...]]:
    """Return the nodes by block; each block is one run of consecutive nodes, so none depends on a later one."""
    runs: dict[str, tuple[Node, ...]] = {}
    before, key = "", ""
    for node in nodes:
        block = node.name.split("/")[0]
        if block != before:
            key = block if block not in runs else f"{block} ({len(runs)})"
        runs[key] = (*runs.get(key, ()), node)
        before = block
    return runs


def _ends(nodes: Sequence[Node], spec: NetworkSpec) -> bool:
    """Return whether no other node reads any of `nodes`."""
    own = {node.name for node in nodes}
    return not any(own & set(node.inputs) for node in spec.nodes if node.name not in own)


def _links(nodes: Sequence[Node], lies_in: Mapping[str, str]) -> Links:
    links: dict[tuple[str, bool], Operation | None] = {}
    for node in nodes:
        for source in node.inputs:
            if source in lies_in:
                matched = isinstance(node.op, Match)
                links[lies_in[source], matched] = node.op if matched else None
    return tuple((source, op) for (source, _), op in links.items())


def _place(blocks: Mapping[str, Block], fed: Set[str]) -> dict[str, Block]:
    """Place each block in the row of its resolution and the first free column behind the blocks that it reads.

    A plain chain stays on one line. No block lies between a block with an exit (`fed`) and that exit.
    """
    depth = {IMAGE: 0}
    for name, block in blocks.items():
        depth[name] = 1 + max(depth[source] for source, _ in block.links)
    chain = len(set(depth.values())) == len(depth)
    heights = sorted({block.shape[1] for block in blocks.values()}, reverse=True)
    columns, taken, exits = {IMAGE: 0}, set[tuple[int, int]](), set[tuple[int, int]]()
    placed = {}
    for name, block in blocks.items():
        row = 0 if chain else heights.index(block.shape[1])
        column = 1 + max(columns[source] for source, _ in block.links)
        while (
            (column, row) in taken
            or any((column, above) in exits for above in range(row))
            or (name in fed and any((column, below) in taken for below in range(row + 1, len(heights))))
        ):
            column += 1
        columns[name] = column
        taken.add((column, row))
        if name in fed:
            exits.add((column, row))
        placed[name] = replace(block, column=column, row=row)
    return placed
