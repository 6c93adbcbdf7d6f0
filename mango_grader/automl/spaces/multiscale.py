"""MS-RANAS's space (§3.2–3.3): searched cells on a grid of layers and scales, with exits on the coarsest scale."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar

from mango_grader.automl.graph import GraphBuilder, SearchGraph
from mango_grader.automl.spaces.base import Decision, SpaceConfig
from mango_grader.automl.spaces.cells import Cell, add_exit, check_stack, decisions_of, preactivated
from mango_grader.automl.spaces.parts import add_stem
from mango_grader.models.operations import Concat
from mango_grader.ranges import Channels, Layers, Nodes, Range, Stride

_Features = Mapping[tuple[int, int], str]  # (layer, scale), both from 1 → the output's name


@dataclass(frozen=True)
class MultiscaleConfig(SpaceConfig):
    """Cells on a grid of layers and scales: layer 1 makes the scales, each half as large as the one before it.

    From layer 2 on every place holds a cell. Its s1 is the horizontal convolution of its scale's feature in layer l−1;
    on all but the finest scale it is concatenated with the diagonal (strided) one of the next finer feature. s0 is its
    scale's feature in layer l−2, in layer 2 that of layer 1.

    The defaults are the network of §4.1 (5 layers, 16 channels, 4 nodes) with all scales and exits. The compact network
    of §4.4 has depth 7 and 2 nodes.

    Our reading: all scales have the same number of channels; vertical, horizontal and diagonal convolutions are 3×3 and
    preactivated, as all of a cell is; a place that no exit depends on (the last layer's finer scales) stays empty.

    Attributes:
        depth: how many layers.
        scales: how many, from 1 to 3.
        channels: of a node in the first layers.
        nodes: of each cell.
        stem_stride: of the finest scale, 1, 2, 4, …
        reduce_at: layers that hold reduction cells: every scale halves and its channels double.
        exits: layers, from 2 to `depth`, whose feature on the coarsest scale a classifier reads; the last must be
            `depth`.

    Raises:
        ValueError: the settings make no network.
    """

    kind: ClassVar[str] = "multiscale"
    paper: ClassVar[str] = "MS-RANAS: multi-scale resource-aware neural architecture search, §3.2–3.3"
    depth: Layers = 5
    scales: Annotated[int, Range(1, 3)] = 3
    channels: Channels = 16
    nodes: Nodes = 4
    stem_stride: Stride = 1
    reduce_at: tuple[Layers, ...] = (3,)
    exits: tuple[Layers, ...] = (2, 3, 4, 5)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_stack(2, self.depth, self.reduce_at, self.exits, self.stem_stride)

    def width_of(self, layer: int) -> int:
        """Return the channels of a node in that layer; a cell's output has `nodes` times as many."""
        return self.channels_of(self.channels * 2 ** sum(at <= layer for at in self.reduce_at))

    def scales_at(self, layer: int) -> range:
        """Return the scales (1 is the finest) of that layer on which some exit depends."""
        return range(max(1, self.scales - (self.depth - layer)), self.scales + 1)

    def decisions(self) -> tuple[Decision, ...]:
        """The nodes of the normal cell and of the reduction cell."""
        return decisions_of(map(self._cell_at, range(2, self.depth + 1)))

    def graph(self) -> SearchGraph:
        """The scales, then cells layer by layer, exits among them."""
        graph = GraphBuilder(self.height, self.width)
        width = self.width_of(1)
        features = {(1, 1): add_stem(graph, width, self.stem_stride, activate=False)}
        for scale in range(2, self.scales + 1):
            vertical = preactivated(width, width, stride=2)
            features[1, scale] = graph.add(f"{_place(1, scale)}/vertical", vertical, features[1, scale - 1])
        for layer in range(2, self.depth + 1):
            for scale in self.scales_at(layer):
                s0, s1 = features[max(1, layer - 2), scale], self._connect(graph, layer, scale, features)
                cell = self._cell_at(layer)
                features[layer, scale] = cell.add_to(graph, _place(layer, scale), self.width_of(layer), s0, s1)
            if layer in self.exits:
                add_exit(graph, layer, features[layer, self.scales], self.classes)
        return graph.finish()

    def _connect(self, graph: GraphBuilder, layer: int, scale: int, features: _Features) -> str:
        """Append what makes s1 of the features of the layer before, and return its name."""
        name, width = _place(layer, scale), self.width_of(layer)
        same = features[layer - 1, scale]
        horizontal = graph.add(f"{name}/horizontal", preactivated(graph.shapes[same][0], width), same)
        if scale == 1:
            return horizontal
        finer = features[layer - 1, scale - 1]
        diagonal = graph.add(f"{name}/diagonal", preactivated(graph.shapes[finer][0], width, stride=2), finer)
        return graph.add(f"{name}/concat", Concat(), diagonal, horizontal)

    def _cell_at(self, layer: int) -> Cell:
        return Cell(self.nodes, stride=2 if layer in self.reduce_at else 1)


def _place(layer: int, scale: int) -> str:
    return f"layer{layer}-scale{scale}"
