"""From camera bytes to what a network sees; part of every exported graph, so that it exists once."""

import torch
from torch import Tensor, nn

# Per-channel mean and standard deviation of natural photographs (the usual ImageNet figures), in 0–255.
MEAN = (123.675, 116.28, 103.53)
STD = (58.395, 57.12, 57.375)


class FromBytes(nn.Module):
    """uint8 (N, H, W, 3) RGB → float32 (N, 3, H, W), standardised per channel."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("scale", 1 / torch.tensor(STD).view(1, 3, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Permute, convert and standardise; the result keeps the bytes' channels-last memory layout."""
        mean, scale = self.get_buffer("mean"), self.get_buffer("scale")
        return (images.permute(0, 3, 1, 2).float() - mean) * scale
