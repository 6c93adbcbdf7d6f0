"""What spaces are built of: stems, chains of blocks in stages, exits, and the checks of such settings."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from mango_grader.automl.graph import GraphBuilder
from mango_grader.models.operations import Classifier, Convolution, Normalise
from mango_grader.models.spec import IMAGE

STEM = "stem"


def check_stem_stride(stride: int) -> None:
    """Raise ValueError unless a stem can be made for `stride`."""
    if stride < 1 or stride.bit_count() != 1:
        raise ValueError(f"stem_stride must be a power of two, not {stride}")


def check_exits(exits: Sequence[int], last: int, unit: str = "block") -> None:
    """Raise ValueError unless exits are rising numbers that end at the last block.

    Args:
        exits: numbers of blocks, from 1.
        last: number of the last one.
        unit: what to call a block in the error.
    """
    if not exits or list(exits) != sorted(set(exits)) or exits[-1] != last:
        raise ValueError(f"exits must rise and end at the last {unit}, {last}; got {tuple(exits)}")


def check_kernels(kernels: Sequence[int]) -> None:
    """Raise ValueError unless the kernels are odd and differ."""
    if any(kernel % 2 == 0 for kernel in kernels) or len(set(kernels)) != len(kernels):
        raise ValueError(f"kernels must be odd and differ, got {kernels}")


def add_stem(graph: GraphBuilder, channels: int, stride: int, *, activate: bool) -> str:
    """Append 3×3 convolutions to `channels`, one for each halving, so that none skips pixels; return the last's name.

    Args:
        graph: where to append them.
        channels: of the last one.
        stride: of all together: 1, 2, 4, …
        activate: whether the last one ends in a ReLU.
    """
    before, previous = 3, IMAGE
    for left in range(stride.bit_length() - 2, 0, -1):
        after = max(4, channels >> left)
        previous = graph.add(f"{STEM}/{left}", Convolution(before, after, 3, 2), previous)
        before = after
    return graph.add(STEM, Convolution(before, channels, 3, min(stride, 2), activate=activate), previous)


def add_normalised_exit(graph: GraphBuilder, number: int, source: str, classes: int, head: int = 0) -> None:
    """Append BatchNorm and ReLU, and an exit behind them.

    Args:
        graph: where to append them.
        number: of the block behind which the exit sits.
        source: name of what they read.
        classes: how many there are.
        head: the exit's hidden width; 0 for none.
    """
    channels = graph.shapes[source][0]
    norm = graph.add(f"exit{number}/norm", Normalise(channels, activate=True), source)
    graph.exit(number, Classifier(channels, classes, head), norm)


@dataclass(frozen=True)
class Block:
    """A block of a chain.

    Attributes:
        number: its place in the chain, from 1.
        in_channels: channels of what it reads.
        out_channels: channels of its output.
        stride: 1, or 2 where it halves the size.
    """

    number: int
    in_channels: int
    out_channels: int
    stride: int

    @property
    def name(self) -> str:
        """Name of its decision and of its output."""
        return f"block{self.number}"


Stages = Sequence[Sequence[Block]]


class StagedConfig(Protocol):
    """The settings of every space that is a chain of blocks in stages; widths are without the multiplier."""

    @property
    def classes(self) -> int:
        """How many classes."""

    @property
    def channels(self) -> tuple[int, ...]:
        """Channels of each stage's blocks."""

    @property
    def blocks(self) -> tuple[int, ...]:
        """How many blocks each stage has."""

    @property
    def exits(self) -> tuple[int, ...]:
        """The stages, from 1, behind which a classifier sits."""

    @property
    def head(self) -> int:
        """Hidden width of the last exit; 0 for none."""

    @property
    def early_head(self) -> int:
        """Hidden width of the other exits; 0 for none."""

    @property
    def dropout(self) -> float:
        """Before each linear layer."""

    def channels_of(self, channels: float) -> int:
        """Return `channels` times the multiplier."""


def check_stages(config: StagedConfig, strides: Sequence[int]) -> None:
    """Raise ValueError unless the settings of all stages agree and the exits are stages, the last one included.

    Args:
        config: the settings.
        strides: of the first block of each stage.
    """
    channels, blocks = config.channels, config.blocks
    if not channels or not len(channels) == len(blocks) == len(strides):
        raise ValueError(f"stages differ in number: channels {channels}, blocks {blocks}, strides {tuple(strides)}")
    check_exits(config.exits, len(channels), "stage")


def stages_of(config: StagedConfig, before: int, strides: Sequence[int]) -> Stages:
    """Return the blocks by stage; each stage's first block takes the stride and the channels of what comes before.

    Args:
        config: the settings.
        before: channels of what the first block reads, without the multiplier.
        strides: of the first block of each stage.
    """
    stages, number, width_before = [], 0, config.channels_of(before)
    for channels, count, stride in zip(config.channels, config.blocks, strides, strict=True):
        stage, width = [], config.channels_of(channels)
        for place in range(count):
            number += 1
            stage.append(Block(number, width_before, width, 1 if place else stride))
            width_before = width
        stages.append(stage)
    return stages


def heads_of(config: StagedConfig) -> Mapping[int, Classifier]:
    """Return a classifier by the number of each stage that has an exit."""
    heads = {}
    for stage in config.exits:
        hidden = config.head if stage == config.exits[-1] else config.early_head
        channels = config.channels_of(config.channels[stage - 1])
        heads[stage] = Classifier(channels, config.classes, config.channels_of(hidden) if hidden else 0, config.dropout)
    return heads


def add_chain(
    graph: GraphBuilder,
    previous: str,
    stages: Stages,
    add_block: Callable[[GraphBuilder, Block, str], str],
    heads: Mapping[int, Classifier],
) -> None:
    """Append every block, each on the one before it, and the exits behind their stages.

    Args:
        graph: where to append them.
        previous: name of what the first block reads.
        stages: the blocks, by stage.
        add_block: appends one block on the output of that name, and returns its output's name.
        heads: classifiers by the number of their stage, from 1.
    """
    for number, stage in enumerate(stages, start=1):
        for block in stage:
            previous = add_block(graph, block, previous)
        if number in heads:
            graph.exit(number, heads[number], previous)
