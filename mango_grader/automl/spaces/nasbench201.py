"""NAS-Bench-201's space: one cell of six edges, 15,625 in all (Dong & Yang 2020, §2)."""

import re
from dataclasses import dataclass
from typing import ClassVar

from mango_grader.automl.architecture import Architecture, Decision, SpaceConfig
from mango_grader.automl.graph import Branch, Choice, SearchGraph
from mango_grader.automl.spaces.parts import STEM, check_exits, check_stem_stride, stem
from mango_grader.models.operations import Add, Classifier, Convolution, Identity, Normalise, Operation, Pool, Zero
from mango_grader.models.spec import Node
from mango_grader.ranges import Channels, Layers, Stride

NONE, SKIP, CONV1, CONV3, POOL = "none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3"
OPERATIONS = (NONE, SKIP, CONV1, CONV3, POOL)
EDGES = tuple((node, source) for node in range(1, 4) for source in range(node))
"""(node, source): node 0 is the cell's input, node 3 its output, and each node sums its edges from earlier ones."""

STAGES = 3


@dataclass(frozen=True)
class NasBench201Config(SpaceConfig):
    """Stem, three stages of equal cells with residual blocks of stride 2 between, exits.

    The defaults are the benchmark's, but for early exits. channels: of the first stage, doubled twice. cells: of each
    stage. stem_stride: 1, 2, 4, …, taken by 3×3 convolutions. exits: cells (from 1) behind which a classifier sits; the
    last must be the end, and the end alone gives the benchmark's own network.
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
        channels = self.channels_of(self.channels)
        nodes: list[Node | Choice] = [*stem(channels, self.stem_stride, activate=False)]
        previous = STEM
        for number in range(1, STAGES * self.cells + 1):
            stage, place = divmod(number - 1, self.cells)
            if stage and not place:
                doubled = self.channels_of(self.channels * 2**stage)
                nodes += _residual(f"reduction{stage}", previous, channels, doubled)
                previous, channels = f"reduction{stage}", doubled
            nodes += _cell(f"cell{number}", previous, channels)
            previous = f"cell{number}"
            if number in self.exits:
                nodes.append(Node(f"exit{number}/norm", Normalise(channels, activate=True), (previous,)))
                nodes.append(Node(f"exit{number}", Classifier(channels, self.classes), (f"exit{number}/norm",)))
        return SearchGraph((3, self.height, self.width), tuple(nodes), tuple(f"exit{at}" for at in self.exits))


def cell_string(architecture: Architecture) -> str:
    """Return the benchmark's name of the cell: its nodes joined by "+", each "|operation~source|operation~source|"."""
    nodes: dict[int, str] = {}
    for node, source in EDGES:
        (operation,) = architecture.choices[_edge(node, source)]
        nodes[node] = f"{nodes.get(node, '|')}{operation}~{source}|"
    return "+".join(nodes.values())


def from_cell_string(config: NasBench201Config, text: str) -> Architecture:
    """Return the architecture that `cell_string` names so; raises ValueError for anything else."""
    names = re.findall(r"([^|+~]+)~\d", text)
    if len(names) == len(EDGES) and set(names) <= set(OPERATIONS):
        choices = {_edge(node, source): (name,) for (node, source), name in zip(EDGES, names, strict=True)}
        architecture = Architecture(config, choices)
        if cell_string(architecture) == text:
            return architecture
    raise ValueError(f"not a cell of NAS-Bench-201: {text!r}; one is |none~0|+|none~0|none~1|+|none~0|none~1|none~2|")


def _edge(node: int, source: int) -> str:
    return f"node{node}.from{source}"


def _cell(cell: str, source: str, channels: int) -> list[Node | Choice]:
    operations: dict[str, Operation | None] = {
        NONE: None,
        SKIP: Identity(),
        CONV1: Convolution(channels, channels, activate=False, preactivate=True),
        CONV3: Convolution(channels, channels, 3, activate=False, preactivate=True),
        POOL: Pool(maximum=False),
    }
    names = {0: source, 1: f"{cell}/node1", 2: f"{cell}/node2", 3: cell}
    # The output must exist even where no edge leads there.
    nodes: list[Node | Choice] = [Node(f"{cell}/zero", Zero(), (source,))]
    for node in range(1, 4):
        edges = []
        for start in range(node):
            branches = (Branch(name, op, (names[start],) if op else ()) for name, op in operations.items())
            edges.append(Choice(f"{cell}/edge{start}{node}", _edge(node, start), tuple(branches)))
        inputs = tuple(edge.name for edge in edges) + ((f"{cell}/zero",) if node == 3 else ())
        nodes += [*edges, Node(names[node], Add(activate=False), inputs)]
    return nodes


def _residual(name: str, source: str, channels: int, doubled: int) -> list[Node]:
    """The residual block of stride 2: two 3×3 convolutions, beside them average pooling and a 1×1 convolution."""
    first = Convolution(channels, doubled, 3, 2, activate=False, preactivate=True)
    second = Convolution(doubled, doubled, 3, activate=False, preactivate=True)
    return [
        Node(f"{name}/first", first, (source,)),
        Node(f"{name}/second", second, (f"{name}/first",)),
        Node(f"{name}/pool", Pool(maximum=False, kernel=2, stride=2), (source,)),
        Node(f"{name}/match", Convolution(channels, doubled, activate=False, norm=False), (f"{name}/pool",)),
        Node(name, Add(activate=False), (f"{name}/match", f"{name}/second")),
    ]
