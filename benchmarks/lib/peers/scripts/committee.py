"""EfficientNet-Lite0, 1 and 2 as one ONNX graph: what all three see, each at its own size. For the peers' environment.

    python committee.py committee.onnx

Images are (N, 260, 260, 3) uint8; features are what the three heads would be given, (N, 3840) float32.
"""

import argparse

import torch
import torch.nn.functional as F
from frozen_features import load
from torch import Tensor, nn

SIDES = (224, 240, 260)  # pixels: those on which the networks learned


class Committee(nn.Module):
    """The three networks, without their heads."""

    def __init__(self) -> None:
        super().__init__()
        self.members = nn.ModuleList(load(number) for number in range(len(SIDES)))

    def forward(self, images: Tensor) -> Tensor:
        """Return the features of all, one after the other."""
        pixels = (images.permute(0, 3, 1, 2).float() - 127) / 128
        seen = [F.interpolate(pixels, (side, side), mode="bilinear", antialias=False) for side in SIDES[:-1]]
        looks = zip(self.members, [*seen, pixels], strict=True)
        return torch.cat([member.extract_features(look).mean((2, 3)) for member, look in looks], 1)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("out")
    example = torch.zeros(2, SIDES[-1], SIDES[-1], 3, dtype=torch.uint8)
    batch = {0: torch.export.Dim("batch")}
    torch.onnx.export(
        Committee().eval(), (example,), parser.parse_args().out, dynamic_shapes=(batch,), external_data=False
    )
