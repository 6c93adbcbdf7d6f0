"""The torch network of a NetworkSpec: run whole for training, stage by stage for export, and fed from bytes."""

import torch
from torch import Tensor, nn

from mango_grader.models.modules import build_operation, call
from mango_grader.models.spec import IMAGE, NetworkSpec, Node

# Per-channel mean and standard deviation of natural photographs (the usual ImageNet figures), in 0–255.
MEAN = (123.675, 116.28, 103.53)
STD = (58.395, 57.12, 57.375)


class FromBytes(nn.Module):
    """uint8 (N, H, W, 3) RGB → float32 (N, 3, H, W), standardised per channel; part of every exported graph."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("scale", 1 / torch.tensor(STD).view(1, 3, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Return standardised images; the result keeps the channels-last memory layout of the bytes."""
        mean, scale = self.get_buffer("mean"), self.get_buffer("scale")
        return (images.permute(0, 3, 1, 2).float() - mean) * scale


class Stage(nn.Module):
    """What runs between two exits; it returns logits, and tensors for the next stage.

    Its modules are those of the whole network, not copies.

    Args:
        nodes: of the stage, in topological order.
        modules: of the whole network, by node.
        takes: names of the outputs that the stage reads; stage 0 reads the image.
        end: name of its exit.
        gives: names of the outputs that later stages read.
    """

    def __init__(
        self,
        nodes: tuple[Node, ...],
        modules: nn.ModuleDict,
        takes: tuple[str, ...],
        end: str,
        gives: tuple[str, ...],
    ) -> None:
        super().__init__()
        self.order, self.takes, self.end, self.gives = nodes, takes, end, gives
        self.nodes = nn.ModuleDict({node.name: modules[node.name] for node in nodes})

    def forward(self, *state: Tensor) -> tuple[Tensor, ...]:
        """Return logits (N, C), then one tensor per name in `gives`.

        Args:
            *state: (N, C, H, W), one per name in `takes`.
        """
        values = dict(zip(self.takes, state, strict=True))
        for node in self.order:
            values[node.name] = call(self.nodes[node.name], [values[name] for name in node.inputs])
        return values[self.end], *(values[name] for name in self.gives)


class AnytimeClassifier(nn.Module):
    """A network with early exits; `stages` runs the same modules one exit at a time.

    Args:
        spec: the network as plain data.
    """

    def __init__(self, spec: NetworkSpec) -> None:
        super().__init__()
        self.spec = spec
        self.nodes = nn.ModuleDict({node.name: build_operation(node.op) for node in spec.nodes})

    @property
    def stages(self) -> tuple[Stage, ...]:
        """One module per exit; stage 0 takes the standardised images (N, 3, H, W)."""
        takes = ((IMAGE,), *self.spec.carried)
        gives = (*self.spec.carried, ())
        parts = zip(self.spec.stages, takes, self.spec.exits, gives, strict=True)
        return tuple(Stage(nodes, self.nodes, t, end, g) for nodes, t, end, g in parts)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return the logits (N, C) of every exit, earliest first.

        Args:
            images: standardised, (N, 3, H, W); see `FromBytes`.
        """
        values = {IMAGE: images}
        for node in self.spec.nodes:
            values[node.name] = call(self.nodes[node.name], [values[name] for name in node.inputs])
        return [values[name] for name in self.spec.exits]


def build_network(spec: NetworkSpec) -> AnytimeClassifier:
    """Return the network of a spec, freshly initialised.

    Args:
        spec: the network as plain data.

    Example:
        >>> import torch
        >>> from mango_grader.models.baselines import msdnet_spec
        >>> net = build_network(msdnet_spec((3, 128, 128), classes=3)).eval()
        >>> [tuple(logits.shape) for logits in net(torch.zeros(2, 3, 128, 128))]
        [(2, 3), (2, 3), (2, 3), (2, 3)]
    """
    return AnytimeClassifier(spec)
