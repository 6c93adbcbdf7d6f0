"""NAS-Bench-201's space: one cell of six edges, 15,625 in all (Dong & Yang 2020, §2)."""

import re
from dataclasses import dataclass
from typing import ClassVar

from mango_grader.automl.graph import Branch, Choices, GraphBuilder, SearchGraph
from mango_grader.automl.spaces.base import Decision, SpaceConfig
from mango_grader.automl.spaces.parts import add_normalised_exit, add_stem, check_exits, check_stem_stride
from mango_grader.models.operations import Add, Convolution, Identity, Operation, Pool, Zero
from mango_grader.ranges import Channels, Layers, Stride

NONE, SKIP, CONV1, CONV3, POOL = "none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3"
OPERATIONS = (NONE, SKIP, CONV1, CONV3, POOL)
EDGES = tuple((node, source) for node in range(1, 4) for source in range(node))
"""(node, source): node 0 is the cell's input, node 3 its output, and each node sums its edges from earlier ones."""

STAGES = 3


@dataclass(frozen=True)
class NasBench201Config(SpaceConfig):
    """Stem, three stages of equal cells with residual blocks of stride 2 between, exits.

    The defaults are the benchmark's, but for early exits; the end alone gives the benchmark's own network.

    Attributes:
        channels: of the first stage, doubled twice.
        cells: of each stage.
        stem_stride: 1, 2, 4, …, taken by 3×3 convolutions.
        exits: cells (from 1) behind which a classifier sits; the last must be the end.
    """

    kind: ClassVar[str] = "nasbench201"
    paper: ClassVar[str] = "Dong & Yang 2020, NAS-Bench-201"
    channels: Channels = 16
    cells: Layers = 5
    stem_stride: Stride = 1
    exits: tuple[Layers, ...] = (5, 10, 15)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_stem_stride(self.stem_stride)
        check_exits(self.exits, STAGES * self.cells)

    def decisions(self) -> tuple[Decision, ...]:
        """One operation for each edge, the same in all cells."""
        return tuple(Decision(_edge(node, source), OPERATIONS) for node, source in EDGES)

    def graph(self) -> SearchGraph:
        """Stem, cells, residual blocks and exits."""
        graph, channels = GraphBuilder(self.height, self.width), self.channels_of(self.channels)
        previous = add_stem(graph, channels, self.stem_stride, activate=False)
        for number in range(1, STAGES * self.cells + 1):
            stage, place = divmod(number - 1, self.cells)
            if stage and not place:
                doubled = self.channels_of(self.channels * 2**stage)
                previous = _add_residual(graph, f"reduction{stage}", previous, doubled)
            previous = _add_cell(graph, f"cell{number}", previous)
            if number in self.exits:
                add_normalised_exit(graph, number, previous, self.classes)
        return graph.finish()


def cell_string(choices: Choices) -> str:
    """Return the benchmark's name of a cell: its nodes joined by "+", each "|operation~source|operation~source|"."""
    nodes: dict[int, str] = {}
    for node, source in EDGES:
        (operation,) = choices[_edge(node, source)]
        nodes[node] = f"{nodes.get(node, '|')}{operation}~{source}|"
    return "+".join(nodes.values())


def cell_choices(text: str) -> Choices:
    """Return the choices that `cell_string` names so; raises ValueError for anything else."""
    names = re.findall(r"([^|+~]+)~\d", text)
    if len(names) == len(EDGES) and set(names) <= set(OPERATIONS):
        choices = {_edge(node, source): (name,) for (node, source), name in zip(EDGES, names, strict=True)}
        if cell_string(choices) == text:
            return choices
    raise ValueError(f"not a cell of NAS-Bench-201: {text!r}; one is |none~0|+|none~0|none~1|+|none~0|none~1|none~2|")


def _edge(node: int, source: int) -> str:
    return f"node{node}.from{source}"


def _add_cell(graph: GraphBuilder, cell: str, source: str) -> str:
    channels = graph.shapes[source][0]
    operations: dict[str, Operation | None] = {
        NONE: None,
        SKIP: Identity(),
        CONV1: Convolution(channels, channels, activate=False, preactivate=True),
        CONV3: Convolution(channels, channels, 3, activate=False, preactivate=True),
        POOL: Pool(maximum=False),
    }
    names = {0: source, 1: f"{cell}/node1", 2: f"{cell}/node2", 3: cell}
    zero = graph.add(f"{cell}/zero", Zero(), source)  # the output must exist even where no edge leads there
    for node in range(1, 4):
        edges = [
            graph.choose(
                f"{cell}/edge{start}{node}",
                _edge(node, start),
                (Branch(name, op, (names[start],) if op else ()) for name, op in operations.items()),
            )
            for start in range(node)
        ]
        graph.add(names[node], Add(activate=False), *edges, *([zero] if node == 3 else []))
    return cell


def _add_residual(graph: GraphBuilder, name: str, source: str, doubled: int) -> str:
    """The residual block of stride 2: two 3×3 convolutions, beside them average pooling and a 1×1 convolution."""
    channels = graph.shapes[source][0]
    first = Convolution(channels, doubled, 3, 2, activate=False, preactivate=True)
    second = Convolution(doubled, doubled, 3, activate=False, preactivate=True)
    graph.add(f"{name}/first", first, source)
    graph.add(f"{name}/second", second, f"{name}/first")
    graph.add(f"{name}/pool", Pool(maximum=False, kernel=2, stride=2), source)
    match = Convolution(channels, doubled, activate=False, norm=False)
    graph.add(f"{name}/match", match, f"{name}/pool")
    return graph.add(name, Add(activate=False), f"{name}/match", f"{name}/second")
