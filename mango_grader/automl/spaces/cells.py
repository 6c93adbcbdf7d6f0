"""The searched cell of DARTS (Liu et al. 2019, §2.1 and §3.1), and what the spaces built of it have in common."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from mango_grader.automl.graph import Branch, GraphBuilder
from mango_grader.automl.spaces.base import Decision
from mango_grader.automl.spaces.parts import check_exits, check_stem_stride
from mango_grader.models.operations import (
    CellConvolution,
    Classifier,
    Concat,
    Convolution,
    FactorisedReduction,
    Identity,
    Operation,
    Pool,
)

# (channels, stride) → operation. The eighth of DARTS, "none", is each group's `Decision.zero`.
OPERATIONS: Mapping[str, Callable[[int, int], Operation]] = {
    "skip_connect": lambda channels, stride: Identity() if stride == 1 else FactorisedReduction(channels, channels),
    "max_pool_3x3": lambda channels, stride: Pool(True, 3, stride, norm_channels=channels),
    "avg_pool_3x3": lambda channels, stride: Pool(False, 3, stride, norm_channels=channels),
    "sep_conv_3x3": lambda channels, stride: CellConvolution(channels, 3, stride, repeats=2),
    "sep_conv_5x5": lambda channels, stride: CellConvolution(channels, 5, stride, repeats=2),
    "dil_conv_3x3": lambda channels, stride: CellConvolution(channels, 3, stride, dilation=2),
    "dil_conv_5x5": lambda channels, stride: CellConvolution(channels, 5, stride, dilation=2),
}
_INPUTS = ("s0", "s1")


@dataclass(frozen=True)
class Cell:
    """A normal cell or a reduction cell, to be stacked: decided once, with weights of its own in each place.

    Each of its intermediate nodes is the sum of two operations on two different ones of: the cell's inputs s0 and s1,
    and the nodes before it. In a reduction cell the operations on s0 and s1 have stride 2. The output is the
    concatenation of the nodes. BatchNorm learns a scale and a shift except behind pooling (our reading: DARTS has them
    in training, and the search would otherwise have weights of its own).

    Attributes:
        nodes: how many intermediate nodes.
        stride: 1 of a normal cell, 2 of a reduction cell.
    """

    nodes: int
    stride: int = 1

    def decisions(self) -> tuple[Decision, ...]:
        """One per node: two candidates "source:operation", of different sources."""
        return tuple(self._decision(node) for node in range(1, self.nodes + 1))

    def add_to(self, graph: GraphBuilder, name: str, channels: int, s0: str, s1: str) -> str:
        """Append an instance and return its output's name.

        Args:
            graph: where to append it.
            name: of its output.
            channels: of each node.
            s0: name of its first input, of any number of channels, as large as s1 or twice as large.
            s1: name of its second input, of any number of channels.
        """
        size = graph.shapes[s1][1:]
        for own, source in zip(_INPUTS, (s0, s1), strict=True):
            before, *found = graph.shapes[source]
            same = tuple(found) == size
            fit = preactivated(before, channels, kernel=1) if same else FactorisedReduction(before, channels)
            graph.add(f"{name}/{own}", fit, source)
        for node in range(1, self.nodes + 1):
            branches = [
                Branch(
                    f"{source}:{operation}",
                    build(channels, self.stride if source in _INPUTS else 1),
                    (f"{name}/{source}",),
                )
                for source in _sources(node)
                for operation, build in OPERATIONS.items()
            ]
            graph.choose(f"{name}/node{node}", self._decision(node).name, branches)
        return graph.add(name, Concat(), *(f"{name}/node{node}" for node in range(1, self.nodes + 1)))

    def _decision(self, node: int) -> Decision:
        sources, count = _sources(node), len(OPERATIONS)
        return Decision(
            f"{'normal' if self.stride == 1 else 'reduction'}.node{node}",
            tuple(f"{source}:{operation}" for source in sources for operation in OPERATIONS),
            min_chosen=2,
            max_chosen=2,
            groups=tuple(tuple(range(start, start + count)) for start in range(0, len(sources) * count, count)),
            zero=True,
        )


def _sources(node: int) -> tuple[str, ...]:
    return *_INPUTS, *(f"node{earlier}" for earlier in range(1, node))


def decisions_of(cells: Iterable[Cell]) -> tuple[Decision, ...]:
    """Return the decisions of all kinds of cells among `cells`, each once."""
    return tuple(decision for cell in dict.fromkeys(cells) for decision in cell.decisions())


def preactivated(before: int, after: int, kernel: int = 3, stride: int = 1) -> Convolution:
    """Return ReLU, convolution, BatchNorm: the order of everything around DARTS's cells.

    Args:
        before: channels of what it reads.
        after: channels of its output.
        kernel: height and width of the kernel.
        stride: of the convolution.
    """
    return Convolution(before, after, kernel, stride, activate=False, preactivate=True)


def add_exit(graph: GraphBuilder, layer: int, feature: str, classes: int) -> None:
    """Append a classifier, named after its layer.

    Args:
        graph: where to append it.
        layer: behind which it sits.
        feature: name of what it reads.
        classes: how many there are.
    """
    graph.exit(layer, Classifier(graph.shapes[feature][0], classes), feature)


def check_stack(first: int, depth: int, reduce_at: tuple[int, ...], exits: tuple[int, ...], stem_stride: int) -> None:
    """Raise ValueError where cells, reductions and exits among them make no network.

    Args:
        first: number of the first layer that holds a cell.
        depth: number of the last one.
        reduce_at: the layers that hold reduction cells.
        exits: the layers behind which a classifier sits.
        stem_stride: of the stem.
    """
    if depth < first:
        raise ValueError(f"depth must be at least {first}, got {depth}")
    check_exits(exits, depth)
    if exits[0] < first:
        raise ValueError(f"the first exit can be behind layer {first}, not {exits[0]}")
    if not set(reduce_at) <= set(range(first, depth + 1)):
        raise ValueError(f"reduce_at must name layers from {first} to {depth}, got {reduce_at}")
    check_stem_stride(stem_stride)
