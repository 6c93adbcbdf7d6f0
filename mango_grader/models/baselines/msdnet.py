"""MSDNet: the hand-made anytime network that searched ones are compared with.

Huang, Chen, Li, Wu, van der Maaten, Weinberger: "Multi-Scale Dense Networks for Resource Efficient Image
Classification", ICLR 2018. Section and appendix numbers below are that paper's.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil

from mango_grader.models.operations import Classifier, Concat, Convolution, Operation, Pool, Shape
from mango_grader.models.spec import IMAGE, NetworkSpec, Node


@dataclass(frozen=True)
class MSDNetSettings:
    """Shape of an MSDNet with S scales; scale 0 is the finest, each further scale halves height and width.

    Attributes:
        exits: layers, from 1, after which a classifier sits on the coarsest scale; the last is the network's depth.
        channels: channels of layer 1, times the scale's factor.
        growth: channels that each layer adds, times the scale's factor (§4, "growth rate").
        factors: (S,), width of each scale, finest first.
        bottlenecks: (S,), 1×1 convolutions reduce a scale's features to this many times the channels made of them; ()
            for none.
        drop_scales: network reduction (§4): in the i-th of S equal blocks only the S − i + 1 coarsest scales are
            computed.
        reduction: share of the channels that the transition after each dropped scale keeps, above 0 to 1; 1 for no
            transition.
        exit_channels: channels of the two strided convolutions of each classifier (appendix A).
        stem_stride: by how much the image is reduced before scale 0: 1 (CIFAR), 2, or 4 (photos).

    Raises:
        ValueError: where the settings describe no network.
    """

    exits: tuple[int, ...]
    channels: int = 16
    growth: int = 6
    factors: tuple[int, ...] = (1, 2, 4)
    bottlenecks: tuple[int, ...] = (1, 2, 4)
    drop_scales: bool = True
    reduction: float = 0.5
    exit_channels: int = 128
    stem_stride: int = 1

    def __post_init__(self) -> None:
        if not self.exits or self.exits[0] < 1 or list(self.exits) != sorted(set(self.exits)):
            raise ValueError(f"MSDNet exits must be growing layer numbers from 1, got {self.exits}")
        if self.bottlenecks and len(self.bottlenecks) != self.scales:
            raise ValueError(f"MSDNet needs {self.scales} bottleneck factors or none, got {self.bottlenecks}")
        if not 0 < self.reduction <= 1:
            raise ValueError(f"MSDNet reduction must be above 0 and at most 1, got {self.reduction}")
        if self.stem_stride not in (1, 2, 4):
            raise ValueError(f"MSDNet stem stride must be 1, 2 or 4, got {self.stem_stride}")
        if min(self.channels, self.growth, self.exit_channels, *self.factors, *self.bottlenecks) < 1:
            raise ValueError("MSDNet channels, growth and factors must be at least 1")
        if any(self.growth * factor % 2 for factor in self.factors[1:]):
            raise ValueError("MSDNet growth times factor must be even: half comes from the next finer scale")

    @property
    def scales(self) -> int:
        """Number of scales of layer 1."""
        return len(self.factors)

    @property
    def layers(self) -> int:
        """Number of dense layers after the first, multi-scale one."""
        return self.exits[-1]

    def finest(self, layer: int) -> int:
        """Return the finest scale that `layer` (from 1) still computes."""
        block = ceil(self.layers / self.scales)
        return (layer - 1) // block if self.drop_scales else 0

    @classmethod
    def cifar(cls) -> "MSDNetSettings":
        """Return appendix A's network for CIFAR: 24 layers, 3 scales, 11 exits after layers 4, 6, …, 24."""
        return cls(exits=tuple(range(4, 25, 2)))

    @classmethod
    def compact(cls) -> "MSDNetSettings":
        """Return our preset for photos of about 128 pixels: 4 exits, less than 0.35 M parameters."""
        return cls(exits=(2, 4, 6, 8), channels=12, exit_channels=32, stem_stride=4)


def msdnet_spec(input_shape: Shape, classes: int, settings: MSDNetSettings | None = None) -> NetworkSpec:
    """Return the MSDNet of some settings.

    Args:
        input_shape: (3, H, W).
        classes: number of classes.
        settings: the network's shape; None for `MSDNetSettings.compact()`.

    Example:
        >>> [round(macs / 1e6, 1) for macs in msdnet_spec((3, 128, 128), classes=3).macs()]
        [11.2, 16.4, 21.6, 26.3]
    """
    settings = settings or MSDNetSettings.compact()
    graph = _Graph(settings, input_shape)
    features = graph.first_layer()
    width, exits = settings.channels, list[str]()
    for layer in range(1, settings.layers + 1):
        kept = range(settings.finest(layer), settings.scales)
        dropped = len(features) > len(kept)
        features = {scale: graph.dense(layer, scale, features) for scale in kept}
        width += settings.growth
        if dropped and settings.reduction < 1:
            width = max(1, int(settings.reduction * width))
            features = {scale: graph.transition(layer, scale, features[scale], width) for scale in kept}
        if layer in settings.exits:
            exits.append(graph.exit(len(exits) + 1, features[settings.scales - 1], classes))
    return NetworkSpec(input_shape, tuple(graph.nodes), tuple(exits))


class _Graph:
    """The network's nodes so far; `features` below map each living scale to the node that holds its features."""

    def __init__(self, settings: MSDNetSettings, image: Shape) -> None:
        self.settings = settings
        self.nodes: list[Node] = []
        self.shapes = {IMAGE: image}

    def add(self, name: str, op: Operation, *inputs: str) -> str:
        self.nodes.append(Node(name, op, inputs))
        self.shapes[name] = op.output([self.shapes[source] for source in inputs])
        return name

    def convolve(self, name: str, source: str, channels: int, kernel: int = 3, stride: int = 1) -> str:
        return self.add(name, Convolution(self.shapes[source][0], channels, kernel, stride), source)

    def first_layer(self) -> dict[int, str]:
        """Make every scale out of the next finer one by strided convolutions (§4, "first layer")."""
        finest, *coarser = (self.settings.channels * factor for factor in self.settings.factors)
        stem = (3, 1) if self.settings.stem_stride == 1 else (7, 2)
        features = {0: self.convolve("first_scale0", IMAGE, finest, *stem)}
        if self.settings.stem_stride == 4:
            features[0] = self.add("first_pool", Pool(maximum=True, stride=2), features[0])
        for scale, width in enumerate(coarser, start=1):
            features[scale] = self.convolve(f"first_scale{scale}", features[scale - 1], width, stride=2)
        return features

    def dense(self, layer: int, scale: int, features: Mapping[int, str]) -> str:
        """Append what is made of the scale's own features and, half of it, of the next finer scale's (§4)."""
        name, growth = f"layer{layer}_scale{scale}", self.settings.growth * self.settings.factors[scale]
        if scale - 1 not in features:
            return self.add(name, Concat(), features[scale], self.transform(f"{name}/same", scale, features, growth))
        down = self.transform(f"{name}/down", scale - 1, features, growth // 2, stride=2)
        same = self.transform(f"{name}/same", scale, features, growth // 2)
        return self.add(name, Concat(), features[scale], down, same)

    def transform(self, name: str, scale: int, features: Mapping[int, str], channels: int, stride: int = 1) -> str:
        """1×1 bottleneck, where settings ask for one, then 3×3 (appendix A)."""
        source = features[scale]
        if self.settings.bottlenecks:
            narrow = min(self.shapes[source][0], self.settings.bottlenecks[scale] * channels)
            source = self.convolve(f"{name}-narrow", source, narrow, kernel=1)
        return self.convolve(name, source, channels, stride=stride)

    def transition(self, layer: int, scale: int, source: str, width: int) -> str:
        """1×1 convolution to `width` channels times the scale's factor (§4, as in DenseNet)."""
        channels = width * self.settings.factors[scale]
        return self.convolve(f"transition{layer}_scale{scale}", source, channels, kernel=1)

    def exit(self, number: int, source: str, classes: int) -> str:
        """Two strided 3×3 convolutions, mean over positions, linear layer (appendix A)."""
        for step in (1, 2):
            source = self.convolve(f"exit{number}/conv{step}", source, self.settings.exit_channels, stride=2)
        return self.add(f"exit{number}", Classifier(self.settings.exit_channels, classes), source)
