"""Blocks of which smaller ones are slices: the middle of the kernel, the first of the expanded channels."""

from collections.abc import Mapping
from functools import cache

import torch
from torch import Tensor
from torch.func import functional_call
from torch.nn import functional as F

from mango_grader.models.modules import Convolution, InvertedResidual, build_operation
from mango_grader.models.operations import InvertedResidual as Residual


class ElasticResidual(InvertedResidual):
    """An inverted residual whose weights smaller ones share: (N, in, H, W) → (N, out, ⌈H/s⌉, ⌈W/s⌉).

    A smaller one has the middle of the kernel and the first of the expanded channels. Source: Once-for-All (Cai et al.,
    2020), §3.3, without its transformation of kernels; BigNAS (Yu et al., 2020), §3.

    Args:
        op: the largest of them, with an expansion of 2 or more.
    """

    def __init__(self, op: Residual) -> None:
        super().__init__(op)
        self.op = op

    def slices(self, op: Residual) -> dict[str, Tensor]:
        """Return the parameters and buffers of a smaller one by the names that it has alone: views of these."""
        own = {**dict(self.named_parameters()), **dict(self.named_buffers())}
        shapes = _shapes(op)
        return {name: _slice(tensor, shapes[name]) for name, tensor in own.items()}

    def narrowed(self, features: Tensor, op: Residual) -> Tensor:
        """Compute what a smaller one does.

        Args:
            features: (N, in, H, W).
            op: the smaller one.
        """
        if op == self.op:
            whole: Tensor = self(features)
            return whole
        parts, tensors = iter(op.parts()), self.slices(op)
        for name, layer in self.named_children():
            own = _within(tensors, name)
            if isinstance(layer, Convolution):
                part, (_, norm) = next(parts), layer.children()
                features = F.conv2d(features, own["0.weight"], None, part.stride, part.kernel // 2, groups=part.groups)
                features = functional_call(norm, _within(own, "1"), (features,))
            else:
                features = functional_call(layer, own, (features,))
        return features


@cache
def _shapes(op: Residual) -> Mapping[str, torch.Size]:
    with torch.device("meta"):
        return {name: tensor.shape for name, tensor in build_operation(op).state_dict().items()}


def _slice(tensor: Tensor, shape: torch.Size) -> Tensor:
    for place, size in enumerate(shape):
        start = (tensor.shape[place] - size) // 2 if place >= 2 else 0
        tensor = tensor.narrow(place, start, size)
    return tensor


def _within(tensors: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    prefix = f"{name}."
    return {key.removeprefix(prefix): tensor for key, tensor in tensors.items() if key.startswith(prefix)}
