"""What a network with ImageNet weights sees in images that it never learned from."""

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mango_grader.datasets.shards import ImageRows
from mango_grader.models import AnytimeClassifier, FromBytes, build_network
from mango_grader.models.baselines.efficientnet_lite import efficientnet_lite0
from mango_grader.models.imagenet import efficientnet_lite0_state
from mango_grader.models.spec import NetworkSpec
from mango_grader.progress import Progress, SilentProgress
from mango_grader.training.device import Device

__all__ = ["frozen_features"]

_SEEN = ("block11", "block15")
"""Whose outputs count: early and late in the last stages, which together told lesions apart better than either, and
better than the head before ImageNet's classes."""

_BATCH = 32


def frozen_features(images: ImageRows, device: Device, progress: Progress | None = None) -> NDArray[np.float32]:
    """Return means and maxima over positions of two blocks of EfficientNet-Lite0, float32 (N, 1024).

    Args:
        images: uint8 (N, H, W, 3).
        device: where it runs.
        progress: shows how far it is.

    Raises:
        UsageError: the ImageNet weights are not installed.
    """
    weights = efficientnet_lite0_state()
    net = build_network(_without_exits((3, *images.shape[1:3]))).eval()
    own = net.state_dict()
    net.load_state_dict({name: value for name, value in weights.items() if name in own}, strict=False)
    device.place(net)
    from_bytes = device.place(FromBytes())
    parts = []
    with (progress or SilentProgress()).task("looking at the images", len(images)) as task:
        for start in range(0, len(images), _BATCH):
            batch = torch.from_numpy(np.array(images[start : start + _BATCH]))
            parts.append(_seen(net, from_bytes(device.send(batch))))
            task.advance(len(batch))
    return np.concatenate(parts)


def _without_exits(shape: tuple[int, int, int]) -> NetworkSpec:
    whole = efficientnet_lite0(shape, classes=2)
    return replace(whole, nodes=tuple(node for node in whole.nodes if node.name not in whole.exits), exits=_SEEN)


@torch.inference_mode()
def _seen(net: AnytimeClassifier, images: Tensor) -> NDArray[np.float32]:
    pooled = [each for found in net(images) for each in (found.mean((2, 3)), found.amax((2, 3)))]
    return np.asarray(torch.cat(pooled, dim=1).float().cpu().numpy())
