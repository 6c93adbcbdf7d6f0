"""A small network with three exits and skips across them, and images for it."""

import numpy as np
import torch
from numpy.typing import NDArray

from mango_grader.export import check_heat, check_parity, export_graphs
from mango_grader.models import AnytimeClassifier, NetworkSpec, Node, build_network
from mango_grader.models.operations import (
    Add,
    Classifier,
    Concat,
    Convolution,
    Identity,
    Match,
    Pool,
    SeparableConvolution,
)

# Odd on purpose: halving 19 and 23 rounds, and skips must round as convolutions do.
HEIGHT, WIDTH = 19, 23
TEMPERATURES = (0.6, 1.0, 2.5)


def three_exits() -> NetworkSpec:
    """Three exits; skips across one and across two of them, strided, matched, concatenated and plain."""
    nodes = (
        Node("stem", Convolution(3, 8, 3, 2), ("image",)),
        Node("layer1", SeparableConvolution(8, 8, 5, dilation=2, activate=True), ("stem",)),
        Node("exit1", Classifier(8, 3), ("layer1",)),
        Node("layer2/convolution", SeparableConvolution(8, 12, 3, 2), ("layer1",)),
        Node("layer2/skip", Match(8, 12, 2), ("stem",)),
        Node("layer2", Add(), ("layer2/convolution", "layer2/skip")),
        Node("exit2", Classifier(12, 3, hidden=6, dropout=0.5), ("layer2",)),
        Node("pooled", Pool(True, 3, 2), ("layer1",)),
        Node("copied", Identity(), ("layer2",)),
        Node("layer3", Concat(), ("copied", "pooled")),
        Node("mean", Pool(False, 3), ("layer3",)),
        Node("exit3", Classifier(20, 3, hidden=8), ("mean",)),
    )
    return NetworkSpec((3, HEIGHT, WIDTH), nodes, ("exit1", "exit2", "exit3"))


def seasoned(spec: NetworkSpec) -> AnytimeClassifier:
    """Return a network whose BatchNorm has statistics worth folding."""
    torch.manual_seed(0)
    network = build_network(spec)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.normal_(module.running_mean)
            torch.nn.init.uniform_(module.running_var, 0.5, 2.0)
            if module.affine:
                torch.nn.init.uniform_(module.weight, 0.5, 2.0)
                torch.nn.init.normal_(module.bias)
    return network


def random_images(count: int, seed: int = 0, height: int = HEIGHT, width: int = WIDTH) -> NDArray[np.uint8]:
    """Smooth random images, (count, height, width, 3): noise alone looks the same to every network."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (count, 3, 3, 3)).repeat(8, axis=1).repeat(8, axis=2)[:, :height, :width]
    noise = rng.integers(-20, 21, (count, height, width, 3))
    return np.clip(coarse + noise, 0, 255).astype(np.uint8)


def check_exported(spec: NetworkSpec) -> None:
    """Export with statistics worth folding; compare every exit with torch, and class maps with their exit.

    Raises ExportError beyond 1e-4.
    """
    network = seasoned(spec)
    with torch.no_grad():
        for name in spec.exits:  # answers far from certain, so that differences show
            network.get_submodule(f"nodes.{name}.linear").weight.mul_(0.1)
    images = random_images(6, height=spec.input[1], width=spec.input[2])
    graphs = export_graphs(network)
    assert len(graphs.heat) == len(spec.exits)
    check_heat(graphs, images, [1.0] * len(spec.exits))
    found = check_parity(network, graphs, images, [1.0] * len(spec.exits))
    assert len(found.staged) == len(found.full) == len(spec.exits)
