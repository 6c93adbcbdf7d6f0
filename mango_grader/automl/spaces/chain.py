"""What chains of blocks in stages share: their settings' checks, the blocks, and a classifier behind some stages."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from mango_grader.automl.architecture import SpaceConfig
from mango_grader.automl.graph import Choice, SearchGraph
from mango_grader.models.operations import Classifier, Shape
from mango_grader.models.spec import Node


@dataclass(frozen=True)
class Block:
    """The `number`-th block of a chain, from 1."""

    number: int
    in_channels: int
    out_channels: int
    stride: int

    @property
    def name(self) -> str:
        """Name of its decision and of its output."""
        return f"block{self.number}"


Stages = Sequence[Sequence[Block]]


def check_stages(channels: Sequence[int], blocks: Sequence[int], strides: Sequence[int], exits: Sequence[int]) -> None:
    """Raise ValueError unless the settings of all stages agree and the exits are stages, the last one included."""
    if not channels or not len(channels) == len(blocks) == len(strides):
        raise ValueError(f"stages differ in number: channels {channels}, blocks {blocks}, strides {strides}")
    if not exits or list(exits) != sorted(set(exits)) or exits[-1] != len(channels):
        raise ValueError(f"exits must rise and end at the last stage, {len(channels)}; got {exits}")


def check_kernels(kernels: Sequence[int]) -> None:
    """Raise ValueError unless the kernels are odd and differ."""
    if any(kernel % 2 == 0 for kernel in kernels) or len(set(kernels)) != len(kernels):
        raise ValueError(f"kernels must be odd and differ, got {kernels}")


def stages_of(
    config: SpaceConfig, before: int, channels: Sequence[int], blocks: Sequence[int], strides: Sequence[int]
) -> Stages:
    """Return the blocks by stage: each stage's first takes the stride and `before` or the last stage's channels.

    before, channels: as they are without the config's multiplier.
    """
    stages, number, before = [], 0, config.channels_of(before)
    for channels_of_stage, count, stride in zip(channels, blocks, strides, strict=True):
        stage, width = [], config.channels_of(channels_of_stage)
        for place in range(count):
            number += 1
            stage.append(Block(number, before, width, 1 if place else stride))
            before = width
        stages.append(stage)
    return stages


def heads_of(
    config: SpaceConfig, stages: Stages, exits: Sequence[int], head: int, early_head: int, dropout: float
) -> Mapping[int, Classifier]:
    """Return a classifier per exit, of hidden width `head` for the last and `early_head` for the others, 0 for none.

    The widths are those without the config's multiplier.
    """
    hidden = {stage: head if stage == exits[-1] else early_head for stage in exits}
    return {
        stage: Classifier(
            stages[stage - 1][-1].out_channels, config.classes, config.channels_of(width) if width else 0, dropout
        )
        for stage, width in hidden.items()
    }


def chain(
    image: Shape,
    opening: Sequence[Node | Choice],
    stages: Stages,
    build: Callable[[Block, str], Sequence[Node | Choice]],
    heads: Mapping[int, Classifier],
) -> SearchGraph:
    """Return `opening`, what `build` makes of each block and its input's name, and `heads` by stage, from 1.

    The last node that `build` returns must be called as its block is.
    """
    nodes: list[Node | Choice] = list(opening)
    previous = opening[-1].name
    for number, stage in enumerate(stages, start=1):
        for block in stage:
            nodes += build(block, previous)
            previous = block.name
        if number in heads:
            nodes.append(Node(f"exit{number}", heads[number], (previous,)))
    return SearchGraph(image, tuple(nodes), tuple(f"exit{number}" for number in heads))
