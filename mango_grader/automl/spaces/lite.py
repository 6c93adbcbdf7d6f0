"""EfficientNet-Lite0's front as a space: every candidate can start from its ImageNet weights (`models.imagenet`)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from mango_grader.automl.spaces.mbconv import MbconvConfig
from mango_grader.models.operations import Activation, Pool
from mango_grader.models.spec import IMAGE, Node


@dataclass(frozen=True)
class LiteConfig(MbconvConfig):
    """BetaNAS's candidates at the widths of EfficientNet-Lite0's first eight blocks, one of them the original.

    What a start from ImageNet is worth is measured in docs/evidence.md. halved: the network first takes means of 2 × 2
    pixels, so that it costs a quarter while augmentation still has the whole image. The rest as in `MbconvConfig`; a
    multiplier other than 1, or squeeze-excitation, leaves blocks without such a start.
    """

    kind: ClassVar[str] = "lite"
    paper: ClassVar[str] = "Tan & Le 2019, EfficientNet (its Lite0), with the candidates of BetaNAS"
    channels: tuple[int, ...] = (24, 40, 80)
    blocks: tuple[int, ...] = (2, 2, 3)
    strides: tuple[int, ...] = (2, 2, 2)
    exits: tuple[int, ...] = (1, 2, 3)
    head: int = 96
    dropout: float = 0.0
    final_squeeze: float = 0.0
    final_activation: Activation = "relu6"
    halved: bool = True

    def opening(self) -> Sequence[Node]:
        """Halve the image, if so, then go on as `MbconvConfig` does."""
        stem, *rest = super().opening()
        if not self.halved:
            return stem, *rest
        shrunk = Node("shrunk", Pool(maximum=False, kernel=2, stride=2), (IMAGE,))
        return shrunk, Node(stem.name, stem.op, (shrunk.name,)), *rest
