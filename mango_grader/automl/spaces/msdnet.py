"""MSDNet as a space: its scales and dense connections stay, what each layer computes is chosen."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from mango_grader.automl.architecture import Decision, SpaceConfig
from mango_grader.automl.graph import Branch, Choice, SearchGraph
from mango_grader.models.baselines.msdnet import MSDNetSettings, msdnet_nodes
from mango_grader.models.operations import Convolution, Operation, SeparableConvolution
from mango_grader.models.spec import IMAGE

OPERATIONS: Mapping[str, Callable[[Convolution], Operation]] = {
    "sep3": lambda op: SeparableConvolution(op.in_channels, op.out_channels, 3, op.stride, activate=True),
    "sep5": lambda op: SeparableConvolution(op.in_channels, op.out_channels, 5, op.stride, activate=True),
    "conv3": lambda op: replace(op, kernel=3),
    "conv5": lambda op: replace(op, kernel=5),
    "dil3": lambda op: replace(op, kernel=3, dilation=2),
}


@dataclass(frozen=True)
class MsdnetConfig(MSDNetSettings, SpaceConfig):
    """An MSDNet of which each layer chooses, scale by scale, the operation behind its 1×1 convolutions. Ours.

    The network has one 3×3 convolution everywhere (appendix A) and its first is of 7×7 pixels; here a layer's two
    transforms to a scale, from the same and from the next finer one, share one of `operations`, and the first
    convolution has one of `stem_kernels`. All else as in `MSDNetSettings`; the defaults are those of its compact
    network. A multiplier scales `channels`, `growth` and `exit_channels`. Raises ValueError for settings that describe
    no network.
    """

    kind: ClassVar[str] = "msdnet"
    paper: ClassVar[str] = "Huang et al. 2018, MSDNet, with a choice of operations (ours)"
    exits: tuple[int, ...] = (2, 4, 6, 8)
    channels: int = 12
    exit_channels: int = 32
    stem_stride: int = 4
    operations: tuple[str, ...] = tuple(OPERATIONS)
    stem_kernels: tuple[int, ...] = (3, 5, 7)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.operations or not set(self.operations) <= set(OPERATIONS):
            raise ValueError(f"operations must be among {', '.join(OPERATIONS)}; got {self.operations}")
        if not self.stem_kernels or any(kernel < 1 or kernel % 2 == 0 for kernel in self.stem_kernels):
            raise ValueError(f"stem_kernels must be odd, got {self.stem_kernels}")

    def decisions(self) -> tuple[Decision, ...]:
        """The first convolution's kernel, then an operation for each layer and scale, finest scale first."""
        choices = (node for node in self.graph().nodes if isinstance(node, Choice))
        candidates = {choice.decision: tuple(branch.candidate for branch in choice.branches) for choice in choices}
        return tuple(Decision(name, candidates[name]) for name in candidates)

    def graph(self) -> SearchGraph:
        """The whole MSDNet, with a choice at the place of each convolution that sees neighbours."""
        image = 3, self.height, self.width
        nodes, exits = msdnet_nodes(image, self.classes, self._scaled(), self._choice)
        return SearchGraph(image, tuple(nodes), exits)

    def _scaled(self) -> MSDNetSettings:
        return replace(
            self,
            channels=self.channels_of(self.channels),
            growth=max(1, round(self.growth * self.multiplier)),
            exit_channels=self.channels_of(self.exit_channels),
        )

    def _choice(self, name: str, op: Convolution, source: str) -> Choice:
        made: Mapping[str, Operation] = (
            {f"conv{kernel}": replace(op, kernel=kernel) for kernel in self.stem_kernels}
            if source == IMAGE
            else {candidate: OPERATIONS[candidate](op) for candidate in self.operations}
        )
        branches = tuple(Branch(candidate, each, (source,)) for candidate, each in made.items())
        return Choice(name, name.split("/")[0], branches)
