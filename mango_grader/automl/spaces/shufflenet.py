"""SPOS's space (Guo et al. 2019, §4), which TNAS §5.2 searches too: stages of ShuffleNetV2's choice blocks."""

from dataclasses import dataclass
from typing import ClassVar

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
from mango_grader.models.operations import Convolution, ShuffleUnit
from mango_grader.models.spec import IMAGE
from mango_grader.ranges import BelowOne, BlockStride, Channels, ChannelsOrNone, Kernel, Layers

XCEPTION = "xception"


@dataclass(frozen=True)
class ShufflenetConfig(SpaceConfig):
    """A chain of shuffle units with one of the kernels or with three depthwise 3×3 convolutions (xception).

    The defaults are SPOS's: a 3×3 convolution of stride 2 to 16 channels, 20 blocks, a 1×1 convolution to 1,024. TNAS
    §5.2 calls its space "ShuffleNet-like" without a table; our reading is this one. A unit's two halves are equally
    wide. Exits are ours: those before the last are bare linear layers, so that they cost next to nothing.

    Attributes:
        stem_stride: of the 3×3 stem, 1 or 2.
        stem_channels: of the stem.
        channels: of each stage's blocks.
        blocks: how many each stage has; each stage's first halves the size.
        kernels: odd heights and widths of the candidate kernels.
        xception: whether the deep variant is a candidate.
        exits: stages (from 1) behind which a classifier sits; the last stage must be one.
        head: width of the 1×1 convolution of the last exit; 0 for none.
        early_head: width of the 1×1 convolution of the other exits; 0 for none.
        dropout: before each linear layer, in [0, 1).

    Raises:
        ValueError: settings do not fit together.
    """

    kind: ClassVar[str] = "shufflenet"
    paper: ClassVar[str] = "Guo et al., SPOS: single path one-shot NAS with uniform sampling"
    stem_stride: BlockStride = 2
    stem_channels: Channels = 16
    channels: tuple[Channels, ...] = (64, 160, 320, 640)
    blocks: tuple[Layers, ...] = (4, 4, 8, 4)
    kernels: tuple[Kernel, ...] = (3, 5, 7)
    xception: bool = True
    exits: tuple[Layers, ...] = (2, 3, 4)
    head: ChannelsOrNone = 1024
    early_head: ChannelsOrNone = 0
    dropout: BelowOne = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_stages(self, self._strides)
        check_kernels(self.kernels)
        if not self.kernels and not self.xception:
            raise ValueError("blocks need kernels or xception to choose from")

    @property
    def _strides(self) -> tuple[int, ...]:
        return (2,) * len(self.channels)

    def decisions(self) -> tuple[Decision, ...]:
        """One decision per block, from the image to the last exit."""
        candidates = (*(f"k{kernel}" for kernel in self.kernels), *([XCEPTION] if self.xception else []))
        return tuple(Decision(block.name, candidates) for stage in self._stages() for block in stage)

    def graph(self) -> SearchGraph:
        """Stem, searched blocks, exits."""
        graph = GraphBuilder(self.height, self.width)
        stem = Convolution(3, self.channels_of(self.stem_channels), kernel=3, stride=self.stem_stride)
        add_chain(graph, graph.add(STEM, stem, IMAGE), self._stages(), self._add_block, heads_of(self))
        return graph.finish()

    def _stages(self) -> Stages:
        return stages_of(self, self.stem_channels, self._strides)

    def _add_block(self, graph: GraphBuilder, block: Block, previous: str) -> str:
        shape = block.in_channels, block.out_channels
        units = {f"k{kernel}": ShuffleUnit(*shape, kernel, block.stride) for kernel in self.kernels}
        if self.xception:
            units[XCEPTION] = ShuffleUnit(*shape, 3, block.stride, xception=True)
        return graph.choose(block.name, block.name, (Branch(name, op, (previous,)) for name, op in units.items()))
