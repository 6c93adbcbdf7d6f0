"""DSO-NAS's space: blocks that are completely connected graphs of operations, to be pruned (Zhang et al., §3.2)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar

from mango_grader.automl.graph import Branch, GraphBuilder, SearchGraph
from mango_grader.automl.spaces.base import Decision, SpaceConfig
from mango_grader.automl.spaces.parts import add_normalised_exit, add_stem, check_exits, check_stem_stride
from mango_grader.models.operations import (
    Add,
    Convolution,
    Identity,
    Normalise,
    Operation,
    Pool,
    SeparableConvolution,
)
from mango_grader.ranges import Channels, ChannelsOrNone, Layers, Nodes, Range, Stride

# Pools are normalised (our reading; the authors' code does so): else features would grow from level to level.
OPERATIONS: Mapping[str, Callable[[int], Operation]] = {
    "sep3": lambda channels: SeparableConvolution(channels, channels, 3, activate=True),
    "sep5": lambda channels: SeparableConvolution(channels, channels, 5, activate=True),
    "avg3": lambda channels: Pool(maximum=False, norm_channels=channels),
    "max3": lambda channels: Pool(maximum=True, norm_channels=channels),
}

_SOURCE = "input"


@dataclass(frozen=True)
class DagConfig(SpaceConfig):
    """Blocks in which everything is connected: which connections stay is searched.

    Each operation sums what it keeps of the block input and all operations of earlier levels (Eq. 3). The block adds to
    its input the 1×1 convolution of the concatenation of the kept operations (Eq. 4). Here that is a sum of one 1×1
    convolution for each, with one BatchNorm and ReLU behind, which is the same and can be gated. A block of which
    nothing is left is the identity.

    The defaults are the published CIFAR-10 network. By default each stage has an exit, the place of the paper's
    auxiliary head among them.

    Attributes:
        channels: of the first stage, doubled by each reduction. The paper names none; 36 are those of ENAS, whose
            training it takes over (§4.2): that makes 5.7 M parameters unpruned, and the paper's pruned ones have 3.0 M.
        stages: blocks of each stage; a reduction block ends all but the last.
        levels: of operations in each block.
        operations: names of each level's operations, keys of `OPERATIONS`.
        stem_stride: of the stem, 1, 2, 4, …, taken by 3×3 convolutions.
        share: whether all blocks have one structure, or each its own ("full").
        exits: blocks (from 1, reductions not counted) behind which a classifier sits; the last must be the end.
        head: width of each exit's 1×1 convolution; 0 for none.
        edge_probability: with which an even draw keeps each connection, from 0.01 to 0.99; a half makes all subsets
            equally likely.
    """

    kind: ClassVar[str] = "dag"
    paper: ClassVar[str] = "Zhang et al., You Only Search Once: direct sparse optimisation (DSO-NAS)"
    channels: Channels = 36
    stages: tuple[Layers, ...] = (8, 8, 8)
    levels: Nodes = 4
    operations: tuple[str, ...] = tuple(OPERATIONS)
    stem_stride: Stride = 1
    share: bool = True
    exits: tuple[Layers, ...] = (8, 16, 24)
    head: ChannelsOrNone = 0
    edge_probability: Annotated[float, Range(0.01, 0.99)] = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        check_stem_stride(self.stem_stride)
        check_exits(self.exits, sum(self.stages))
        known = set(self.operations) <= set(OPERATIONS)
        if not self.operations or not known or len(set(self.operations)) != len(self.operations):
            raise ValueError(f"operations must be among {', '.join(OPERATIONS)} and differ; got {self.operations}")

    def decisions(self) -> tuple[Decision, ...]:
        """What each operation takes in, and what the output takes in: any subset; once, or for each block."""
        prefixes = [""] if self.share else [f"block{number}." for number in range(1, sum(self.stages) + 1)]
        decisions = []
        for prefix in prefixes:
            for level in range(1, self.levels + 1):
                sources = (_SOURCE, *self._below(level))
                decisions += [self._any_of(f"{prefix}{name}.in", sources) for name in self._of(level)]
            decisions.append(self._any_of(f"{prefix}out", self._below(self.levels + 1)))
        return tuple(decisions)

    def graph(self) -> SearchGraph:
        """Stem, blocks, reductions and exits."""
        graph, channels = GraphBuilder(self.height, self.width), self.channels_of(self.channels)
        previous, number = add_stem(graph, channels, self.stem_stride, activate=True), 0
        for stage, blocks in enumerate(self.stages, 1):
            for _ in range(blocks):
                number += 1
                previous = self._add_block(graph, number, previous)
                if number in self.exits:
                    # Sums of ReLUs only grow from block to block, so an exit normalises what it reads.
                    add_normalised_exit(graph, number, previous, self.classes, self.head)
            if stage < len(self.stages):
                doubled = self.channels_of(self.channels * 2**stage)
                previous = _add_reduction(graph, f"reduction{stage}", previous, doubled)
        return graph.finish()

    def _any_of(self, name: str, sources: tuple[str, ...]) -> Decision:
        return Decision(name, sources, 0, len(sources), probability=self.edge_probability)

    def _of(self, level: int) -> tuple[str, ...]:
        return tuple(f"level{level}-{operation}" for operation in self.operations)

    def _below(self, level: int) -> tuple[str, ...]:
        return tuple(name for lower in range(1, level) for name in self._of(lower))

    def _add_block(self, graph: GraphBuilder, number: int, source: str) -> str:
        block, channels = f"block{number}", graph.shapes[source][0]
        prefix = "" if self.share else f"{block}."
        for level in range(1, self.levels + 1):
            below = [Branch(name, Identity(), (f"{block}/{name}",)) for name in self._below(level)]
            for name, operation in zip(self._of(level), self.operations, strict=True):
                branches = (Branch(_SOURCE, Identity(), (source,)), *below)
                taken = graph.choose(f"{block}/{name}/in", f"{prefix}{name}.in", branches)
                graph.add(f"{block}/{name}", OPERATIONS[operation](channels), taken)
        project = Convolution(channels, channels, activate=False, norm=False)
        outputs = (Branch(name, project, (f"{block}/{name}",)) for name in self._below(self.levels + 1))
        out = graph.choose(f"{block}/out", f"{prefix}out", outputs)
        norm = graph.add(f"{block}/norm", Normalise(channels, activate=True), out)
        return graph.add(block, Add(activate=False), source, norm)


def _add_reduction(graph: GraphBuilder, name: str, source: str, doubled: int) -> str:
    before = graph.shapes[source][0]
    parts = [
        graph.add(f"{name}/convolution{kernel}", Convolution(before, doubled, kernel, 2), source) for kernel in (1, 3)
    ]
    return graph.add(name, Add(activate=False), *parts)
