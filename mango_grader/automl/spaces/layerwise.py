"""MNet's layer-wise space (Chen & Fuh, MNet, §3.2): a chain of depthwise-separable convolutions with searched skips."""

import math
from dataclasses import dataclass
from typing import ClassVar

from mango_grader.automl.graph import Branch, GraphBuilder, SearchGraph
from mango_grader.automl.spaces.base import Decision, SpaceConfig
from mango_grader.automl.spaces.parts import STEM, check_exits, check_kernels
from mango_grader.models.operations import Add, Classifier, Convolution, Identity, Match, SeparableConvolution
from mango_grader.models.spec import IMAGE
from mango_grader.ranges import BelowOne, Channels, ChannelsOrNone, Dilation, Factor, Kernel, Layers, Stride


@dataclass(frozen=True)
class LayerwiseConfig(SpaceConfig):
    """A chain of layers: one of kernels × dilations, plus the output of none or one earlier layer, then ReLU.

    The defaults are the paper's: 12 layers, 256 features, 10 kernels × 2 dilations, no stride ("reduce_at" is empty).

    Attributes:
        depth: how many layers.
        channels: features of stem and layers.
        widen: factor on the features at each layer in `reduce_at`.
        stem_stride: stride of the 3×3 stem.
        stem_channels: its features; 0 for `channels`.
        reduce_at: layers that halve the size.
        kernels: odd heights and widths of the candidate kernels.
        dilations: of the candidate kernels.
        exits: layers (from 1) behind which a classifier sits; the last must be `depth`.
        head: width of each exit's 1×1 convolution; 0 for none.
        dropout: before each linear layer, in [0, 1).
    """

    kind: ClassVar[str] = "layerwise"
    paper: ClassVar[str] = "Chen & Fuh, MNet: fruit lesion classification ConvNet design via ENAS"
    depth: Layers = 12
    channels: Channels = 256
    widen: Factor = 1.0
    stem_stride: Stride = 1
    stem_channels: ChannelsOrNone = 0
    reduce_at: tuple[Layers, ...] = ()
    kernels: tuple[Kernel, ...] = (3, 7, 11, 15, 19, 23, 27, 31, 35, 39)
    dilations: tuple[Dilation, ...] = (1, 2)
    exits: tuple[Layers, ...] = (4, 8, 12)
    head: ChannelsOrNone = 0
    dropout: BelowOne = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_exits(self.exits, self.depth, "layer")
        if not set(self.reduce_at) <= set(range(1, self.depth + 1)):
            raise ValueError(f"exits and reduce_at name layers from 1 to {self.depth}")
        check_kernels(self.kernels)
        if not self.kernels or not self.dilations or len(set(self.dilations)) != len(self.dilations):
            raise ValueError(f"layers need kernels, and dilations that differ; got {self.kernels}, {self.dilations}")

    def width_of(self, layer: int) -> int:
        """Return the channels of a layer's output; layer 0 is the stem."""
        if layer == 0 and self.stem_channels:
            return self.channels_of(self.stem_channels)
        reductions = sum(at <= layer for at in self.reduce_at)
        return self.channels_of(self.channels * math.pow(self.widen, reductions))

    def stride_of(self, layer: int, since: int) -> int:
        """Return how much smaller the output of `layer` is than that of the earlier layer `since`."""
        return 1 << sum(since < at <= layer for at in self.reduce_at)

    def decisions(self) -> tuple[Decision, ...]:
        """Two per layer: its convolution, and where its skip comes from (the 20 candidates and the 13! of §3.2)."""
        convolutions = tuple(f"k{kernel}d{dilation}" for kernel in self.kernels for dilation in self.dilations)
        decisions = []
        for layer in range(1, self.depth + 1):
            decisions.append(Decision(f"layer{layer}.convolution", convolutions))
            decisions.append(Decision(f"layer{layer}.skip", ("none", *map(_name, range(layer)))))
        return tuple(decisions)

    def graph(self) -> SearchGraph:
        """Stem, layers, exits."""
        graph = GraphBuilder(self.height, self.width)
        graph.add(STEM, Convolution(3, self.width_of(0), kernel=3, stride=self.stem_stride), IMAGE)
        for layer in range(1, self.depth + 1):
            self._add_layer(graph, layer)
            if layer in self.exits:
                head = Classifier(self.width_of(layer), self.classes, self.head, self.dropout)
                graph.exit(layer, head, _name(layer))
        return graph.finish()

    def _add_layer(self, graph: GraphBuilder, layer: int) -> None:
        name, previous = _name(layer), layer - 1
        before, after = self.width_of(previous), self.width_of(layer)
        stride = self.stride_of(layer, previous)
        convolutions = (
            Branch(f"k{k}d{d}", SeparableConvolution(before, after, k, stride, d), (_name(previous),))
            for k in self.kernels
            for d in self.dilations
        )
        skips = (self._skip(layer, since) for since in range(layer))
        convolution = graph.choose(f"{name}/convolution", f"{name}.convolution", convolutions)
        skip = graph.choose(f"{name}/skip", f"{name}.skip", (Branch("none"), *skips))
        graph.add(name, Add(), convolution, skip)

    def _skip(self, layer: int, since: int) -> Branch:
        before, after = self.width_of(since), self.width_of(layer)
        stride = self.stride_of(layer, since)
        same = before == after and stride == 1
        return Branch(_name(since), Identity() if same else Match(before, after, stride), (_name(since),))


def _name(layer: int) -> str:
    return f"layer{layer}" if layer else STEM
