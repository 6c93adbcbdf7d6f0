"""EfficientNet-Lite0's front as a space: every candidate can start from its ImageNet weights (`models.imagenet`)."""

from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

from mango_grader.automl.graph import Branch, GraphBuilder
from mango_grader.automl.spaces.base import Decision
from mango_grader.automl.spaces.mbconv import MbconvConfig
from mango_grader.models.operations import Activation, Identity, Pool
from mango_grader.models.spec import IMAGE
from mango_grader.ranges import BelowOne, BlockStride, Channels, ChannelsOrNone, Layers, Share

Halving = Literal["early", "late", "searched", "none"]
EARLY, LATE, HALVING = "early", "late", "halving"
_SHRUNK = "shrunk"
_MEANS = Pool(maximum=False, kernel=2, stride=2)


@dataclass(frozen=True)
class LiteConfig(MbconvConfig):
    """BetaNAS's candidates at the widths of EfficientNet-Lite0's first eight blocks, one of them the original.

    What a start from ImageNet is worth is measured in docs/explanation/evidence.md. A multiplier other than 1, or
    squeeze-excitation, leaves blocks without one.

    Attributes:
        halving: where the network takes means of 2 × 2 pixels, so that its blocks cost a quarter while augmentation
            still has the whole image: "early" of the image itself; "late" of the output of stem and fixed block, which
            then see the whole image at four times the cost; "searched" leaves that to the search; "none" takes no means
            at all.

    Raises:
        ValueError: `halving` is another word, or settings do not fit together.
    """

    kind: ClassVar[str] = "lite"
    paper: ClassVar[str] = "Tan & Le 2019, EfficientNet (its Lite0), with the candidates of BetaNAS"
    pretrained: ClassVar[bool] = True
    channels: tuple[Channels, ...] = (24, 40, 80)
    blocks: tuple[Layers, ...] = (2, 2, 3)
    strides: tuple[BlockStride, ...] = (2, 2, 2)
    exits: tuple[Layers, ...] = (1, 2, 3)
    head: ChannelsOrNone = 96
    dropout: BelowOne = 0.0
    final_squeeze: Share = 0.0
    final_activation: Activation = "relu6"
    halving: Halving = "early"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.halving not in get_args(Halving):
            raise ValueError(f"halving is one of {', '.join(get_args(Halving))}, got {self.halving}")

    def decisions(self) -> tuple[Decision, ...]:
        """Where to halve, if that is searched, then as `MbconvConfig`."""
        resolution = (Decision(HALVING, (EARLY, LATE)),) if self.halving == "searched" else ()
        return (*resolution, *super().decisions())

    def add_opening(self, graph: GraphBuilder) -> str:
        """Append stem and fixed block, the image halved before or behind them, or a choice between the two."""
        if self.halving == "none":
            return self.add_fixed(graph, IMAGE)
        if self.halving == "late":
            return graph.add(_SHRUNK, _MEANS, self.add_fixed(graph, IMAGE))
        shrunk = graph.add(_SHRUNK, _MEANS, IMAGE)
        if self.halving == "early":
            return self.add_fixed(graph, shrunk)
        early, late = self.add_fixed(graph, shrunk, f"/{EARLY}"), self.add_fixed(graph, IMAGE, f"/{LATE}")
        return graph.choose(HALVING, HALVING, (Branch(EARLY, Identity(), (early,)), Branch(LATE, _MEANS, (late,))))
