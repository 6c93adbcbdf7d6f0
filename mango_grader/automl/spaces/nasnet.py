"""The NASNet-like space of TNAS (§5.1): a stack of two searched cells, as in DARTS (Liu et al. 2019, §3.1)."""

from dataclasses import dataclass
from typing import ClassVar

from mango_grader.automl.graph import GraphBuilder, SearchGraph
from mango_grader.automl.spaces.base import Decision, SpaceConfig
from mango_grader.automl.spaces.cells import Cell, add_exit, check_stack, decisions_of
from mango_grader.automl.spaces.parts import add_stem
from mango_grader.ranges import Channels, Layers, Nodes, Stride


@dataclass(frozen=True)
class NasnetConfig(SpaceConfig):
    """Stem, then a chain of cells; each reads the outputs of the two before it (s1 the last, s0 the last but one).

    TNAS names no sizes; the defaults are those with which DARTS searches: 8 cells of 4 nodes, 16 channels, three times
    as many in the stem, reduction cells at a third and two thirds of the depth. (It trains the result with depth 20,
    channels 36, stem_channels 108, reduce_at (7, 14), which the preset `paper` gives as `final`.) Exits before the last
    are ours: behind each reduction cell.

    Attributes:
        depth: how many cells.
        channels: of a node, doubled by each cell in `reduce_at`.
        nodes: of each cell.
        stem_stride: 1, 2, 4, …
        stem_channels: of the stem.
        reduce_at: reduction cells, which halve the size.
        exits: cells (from 1) behind which a classifier sits; the last must be `depth`.

    Raises:
        ValueError: the settings make no network.
    """

    kind: ClassVar[str] = "nasnet"
    paper: ClassVar[str] = "TNAS, §5.1: the NASNet-like space"
    depth: Layers = 8
    channels: Channels = 16
    nodes: Nodes = 4
    stem_stride: Stride = 1
    stem_channels: Channels = 48
    reduce_at: tuple[Layers, ...] = (3, 6)
    exits: tuple[Layers, ...] = (3, 6, 8)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_stack(1, self.depth, self.reduce_at, self.exits, self.stem_stride)

    def width_of(self, cell: int) -> int:
        """Return the channels of a node in that cell; the cell's output has `nodes` times as many."""
        return self.channels_of(self.channels * 2 ** sum(at <= cell for at in self.reduce_at))

    def decisions(self) -> tuple[Decision, ...]:
        """The nodes of the normal cell and of the reduction cell."""
        return decisions_of(map(self._cell_at, range(1, self.depth + 1)))

    def graph(self) -> SearchGraph:
        """Stem, cells, exits."""
        graph = GraphBuilder(self.height, self.width)
        s0 = s1 = add_stem(graph, self.channels_of(self.stem_channels), self.stem_stride, activate=False)
        for number in range(1, self.depth + 1):
            cell = self._cell_at(number)
            s0, s1 = s1, cell.add_to(graph, f"cell{number}", self.width_of(number), s0, s1)
            if number in self.exits:
                add_exit(graph, number, s1, self.classes)
        return graph.finish()

    def _cell_at(self, number: int) -> Cell:
        return Cell(self.nodes, stride=2 if number in self.reduce_at else 1)
