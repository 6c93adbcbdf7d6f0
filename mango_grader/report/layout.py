"""Where the parts of a network go on paper: graph nodes merged into blocks, blocks placed on a grid."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace

from mango_grader.models.operations import Add, Classifier, Concat, Identity, Match, Operation, Shape
from mango_grader.models.spec import IMAGE, NetworkSpec


@dataclass(frozen=True)
class Block:
    """One box: `op`, and `merge` (a sum or a concatenation) where it also takes in `links` of earlier blocks.

    `links` are the blocks it reads and what lies on the way: an operation that only fits shapes, or None.
    """

    name: str
    op: Operation
    merge: Operation | None
    links: tuple[tuple[str, Operation | None], ...]
    shape: Shape
    macs: int
    column: int = 0
    row: int = 0


@dataclass(frozen=True)
class Exit:
    """Exit `number` (from 1) hangs below the block that feeds it."""

    number: int
    block: str
    macs: int


@dataclass(frozen=True)
class Layout:
    """Blocks in the order of computation, by name (the image is column 0 and no block), and exits."""

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
    """Merge the nodes of `spec` into blocks and place these: depth from left to right, finer features above coarser.

    A sum or concatenation is drawn as one box with the operation before it; identities and matching convolutions that
    lead only there become lines; classifiers become exits.
    """
    blocks, stands_for = _merge(spec)
    macs = spec.macs()
    exits = tuple(Exit(number, stands_for[name][0], macs[number - 1]) for number, name in enumerate(spec.exits, 1))
    return Layout(_place(blocks), exits)


def _merge(spec: NetworkSpec) -> tuple[dict[str, Block], dict[str, tuple[str, Operation | None]]]:
    """Return the blocks, and for every node the block that stands for it and what lies on the way."""
    readers = Counter(name for node in spec.nodes for name in node.inputs) + Counter(spec.exits)
    merges = {name for node in spec.nodes if isinstance(node.op, Add | Concat) for name in node.inputs}
    node_macs = spec.node_macs()
    blocks: dict[str, Block] = {}
    stands_for: dict[str, tuple[str, Operation | None]] = {IMAGE: (IMAGE, None)}
    for node in spec.nodes:
        links = tuple(stands_for[name] for name in node.inputs)
        private = readers[node.name] == 1
        if isinstance(node.op, Classifier) and node.name in spec.exits and private:
            stands_for[node.name] = links[0]
        elif isinstance(node.op, Identity | Match) and private and node.name in merges and links[0][1] is None:
            stands_for[node.name] = (links[0][0], node.op)
        else:
            block = Block(node.name, node.op, None, links, spec.shapes[node.name], node_macs[node.name])
            main = next((name for name in node.inputs if name in blocks and readers[name] == 1), None)
            if isinstance(node.op, Add | Concat) and main is not None and blocks[main].merge is None:
                inner = blocks.pop(main)
                others = tuple(stands_for[name] for name in node.inputs if name != main)
                block = replace(block, op=inner.op, merge=node.op, links=inner.links + others, macs=inner.macs)
            blocks[node.name] = block
            stands_for[node.name] = (node.name, None)
    return blocks, stands_for


def _place(blocks: Mapping[str, Block]) -> dict[str, Block]:
    columns = {IMAGE: 0}
    for name, block in blocks.items():
        columns[name] = 1 + max(columns[source] for source, _ in block.links)
    crowd = Counter(columns[name] for name in blocks)
    heights = sorted({block.shape[1] for block in blocks.values()}, reverse=True)
    taken: set[tuple[int, int]] = set()
    placed = {}
    for name, block in blocks.items():
        # A plain chain stays on one line; branches are sorted by resolution.
        row = heights.index(block.shape[1]) if max(crowd.values()) > 1 else 0
        while (columns[name], row) in taken:
            row += 1
        taken.add((columns[name], row))
        placed[name] = replace(block, column=columns[name], row=row)
    used = sorted({block.row for block in placed.values()})
    return {name: replace(block, row=used.index(block.row)) for name, block in placed.items()}
