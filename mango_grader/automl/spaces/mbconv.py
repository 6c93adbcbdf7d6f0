"""BetaNAS's space (§4.1, "search space"): a chain of blocks, each an inverted residual or nothing."""

from dataclasses import dataclass, replace
from typing import ClassVar, Self, get_args

from mango_grader.automl.graph import Branch, GraphBuilder, SearchGraph
from mango_grader.automl.spaces.base import Decision, SpaceConfig
from mango_grader.automl.spaces.parts import (
    STEM,
    Block,
    Stages,
    add_chain,
    check_kernels,
    check_stages,
    heads_of,
    stages_of,
)
from mango_grader.models.operations import Activation, Add, Convolution, InvertedResidual
from mango_grader.models.spec import IMAGE
from mango_grader.ranges import BelowOne, BlockStride, Channels, ChannelsOrNone, Expansion, Kernel, Layers, Share

FIRST, IDENTITY = "first", "identity"


@dataclass(frozen=True)
class MbconvConfig(SpaceConfig):
    """A chain of blocks: an inverted residual of one of kernels × expansions or, where shapes allow, identity.

    The paper follows MnasNet's space and names kernels 3, 5, 7, expansions 3, 6 and identity, but not its stages. Our
    reading takes them from ProxylessNAS, whose search it builds on: a 3×3 convolution of stride 2 to 32 channels, a
    fixed block of expansion 1 to 16, then 21 searched blocks and a 1×1 convolution to 1,280. A stage's first block is
    never identity. Exits are ours: those before the last are bare linear layers, so that they cost next to nothing.
    Stem and heads keep ReLU.

    Attributes:
        stem_stride: of the 3×3 stem, 1 or 2.
        stem_channels: of the stem.
        first_channels: of the fixed block.
        channels: of each stage's blocks.
        blocks: how many each stage has.
        strides: of each stage's first block, 1 or 2.
        kernels: odd heights and widths of the candidate kernels.
        expansions: candidates for how many times as many channels a block has inside.
        identity: whether it is a candidate.
        exits: stages (from 1) behind which a classifier sits; the last stage must be one.
        head: width of the 1×1 convolution of the last exit; 0 for none.
        early_head: width of the 1×1 convolution of the other exits; 0 for none.
        dropout: before each linear layer, in [0, 1).
        squeeze: ratio of squeeze-excitation during the search, in [0, 1]; 0 for none.
        activation: during the search, "relu6" or "swish".
        final_squeeze: takes the place of `squeeze` when results are trained (Table 1, "+ SE"; the ratio, lost in our
            text, is a quarter, which makes the 0.5 M parameters of difference).
        final_activation: takes the place of `activation` when results are trained (Table 1, "swish").
        elastic: whether a block's candidates share one set of weights while searching: smaller kernels are the middle
            of the largest, smaller expansions its first channels (Once-for-All, Cai et al. 2020, §3.3).

    Raises:
        ValueError: settings do not fit together.
    """

    kind: ClassVar[str] = "mbconv"
    paper: ClassVar[str] = "Fang et al., BetaNAS: balanced training and selective drop for NAS"
    stem_stride: BlockStride = 2
    stem_channels: Channels = 32
    first_channels: Channels = 16
    channels: tuple[Channels, ...] = (24, 40, 80, 96, 192, 320)
    blocks: tuple[Layers, ...] = (4, 4, 4, 4, 4, 1)
    strides: tuple[BlockStride, ...] = (2, 2, 2, 1, 2, 1)
    kernels: tuple[Kernel, ...] = (3, 5, 7)
    expansions: tuple[Expansion, ...] = (3, 6)
    identity: bool = True
    exits: tuple[Layers, ...] = (2, 4, 6)
    head: ChannelsOrNone = 1280
    early_head: ChannelsOrNone = 0
    dropout: BelowOne = 0.2
    squeeze: Share = 0.0
    activation: Activation = "relu6"
    final_squeeze: Share = 0.25
    final_activation: Activation = "swish"
    elastic: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_stages(self, self.strides)
        check_kernels(self.kernels)
        if not self.kernels or not self.expansions or len(set(self.expansions)) < len(self.expansions):
            raise ValueError(f"blocks need kernels and expansions that differ, got {self.kernels}, {self.expansions}")
        if self.elastic and min(self.expansions) < 2:
            raise ValueError(f"elastic blocks need expansions of 2 or more, got {self.expansions}")
        if not {self.activation, self.final_activation} <= set(get_args(Activation)):
            raise ValueError(f"activations are relu6 or swish, got {self.activation} and {self.final_activation}")

    def finished(self) -> Self:
        """Return the space with final sizes, squeeze-excitation and activation; names and decisions are the same."""
        return replace(super().finished(), squeeze=self.final_squeeze, activation=self.final_activation)

    def decisions(self) -> tuple[Decision, ...]:
        """One decision per block, from the image to the last exit."""
        convolutions = tuple(f"k{kernel}e{expansion}" for kernel in self.kernels for expansion in self.expansions)
        return tuple(
            Decision(block.name, (*convolutions, IDENTITY) if self.identity and _residual(block) else convolutions)
            for stage in self._stages()
            for block in stage
        )

    def graph(self) -> SearchGraph:
        """Stem, fixed block, searched blocks, exits."""
        graph = GraphBuilder(self.height, self.width)
        add_chain(graph, self.add_opening(graph), self._stages(), self._add_block, heads_of(self))
        return graph.finish()

    def add_opening(self, graph: GraphBuilder) -> str:
        """Append what comes before the searched blocks, and return its output's name."""
        return self.add_fixed(graph, IMAGE)

    def add_fixed(self, graph: GraphBuilder, image: str, suffix: str = "") -> str:
        """Append stem and fixed block on the node `image`, `suffix` behind their names; return the block's name."""
        stem, first = self.channels_of(self.stem_channels), self.channels_of(self.first_channels)
        block = InvertedResidual(stem, first, 3, 1, 1, self.squeeze, self.activation)
        graph.add(STEM + suffix, Convolution(3, stem, kernel=3, stride=self.stem_stride), image)
        return graph.add(FIRST + suffix, block, STEM + suffix)

    def _stages(self) -> Stages:
        return stages_of(self, self.first_channels, self.strides)

    def _add_block(self, graph: GraphBuilder, block: Block, previous: str) -> str:
        def candidate(kernel: int, expansion: int) -> InvertedResidual:
            before, after, stride = block.in_channels, block.out_channels, block.stride
            return InvertedResidual(before, after, kernel, stride, expansion, self.squeeze, self.activation)

        branches = [
            Branch(f"k{kernel}e{expansion}", candidate(kernel, expansion), (previous,))
            for kernel in self.kernels
            for expansion in self.expansions
        ]
        shared = candidate(max(self.kernels), max(self.expansions)) if self.elastic else None
        if not _residual(block):
            return graph.choose(block.name, block.name, branches, shared)
        if self.identity:
            branches.append(Branch(IDENTITY))  # nothing to add: the sum is its input
        residual = graph.choose(f"{block.name}/residual", block.name, branches, shared)
        return graph.add(block.name, Add(activate=False), previous, residual)


def _residual(block: Block) -> bool:
    return block.stride == 1 and block.in_channels == block.out_channels
