"""What every peer's script shares: the fold it is handed, and what it hands back. Runs in the peers' environment.

A fold is an .npz with `train_images`, `val_images` (N, H, W, 3) uint8, `train_labels`, `val_labels` (N,) and `classes`.
Test images are not in it: whoever called measures the ONNX file on them. A script writes into its output folder

    model.onnx    from float32 images of `layout`, each channel (value / 255 − mean) / std, to answers (N, classes)
    figures.json  params, macs (for one image), seconds of the training, layout, mean, std, settings, versions
"""

import argparse
import json
import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

MODEL, FIGURES = "model.onnx", "figures.json"
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Fold:
    """Images (N, H, W, 3) uint8 and labels (N,) to learn from and to choose by; `classes` of them."""

    train_images: np.ndarray
    train_labels: np.ndarray
    val_images: np.ndarray
    val_labels: np.ndarray
    classes: int

    @property
    def size(self) -> int:
        """Pixels of either side."""
        return int(self.train_images.shape[1])


@dataclass(frozen=True)
class Task:
    """What a script is asked for: `epochs` of training, or as many as fit `seconds` where a peer plans by time."""

    fold: Fold
    out: Path
    seed: int
    epochs: int
    seconds: float


@dataclass(frozen=True)
class Trained:
    """What a script hands back beside model.onnx: `seconds` of the training, `params` and `macs` of what it made."""

    seconds: float
    params: int
    macs: int
    layout: str
    mean: Sequence[float]
    std: Sequence[float]
    settings: dict[str, Any]


def run(train: Callable[[Task], Trained], packages: Sequence[str]) -> None:
    """Read the command line, train on one thread, write the figures; `train` itself writes model.onnx."""
    parser = argparse.ArgumentParser()
    parser.add_argument("fold", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=600.0)
    options = parser.parse_args()
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    torch.set_num_threads(1)
    torch.manual_seed(options.seed)
    options.out.mkdir(parents=True, exist_ok=True)
    with np.load(options.fold) as data:
        fold = Fold(
            *(data[name] for name in ("train_images", "train_labels", "val_images", "val_labels")), int(data["classes"])
        )
    trained = train(Task(fold, options.out.resolve(), options.seed, options.epochs, options.seconds))
    figures = {**asdict(trained), "versions": {name: version(name) for name in ("torch", "onnx", *packages)}}
    (options.out / FIGURES).write_text(json.dumps(figures, indent=2) + "\n")


def _end_with(parent: int) -> None:
    """End this process with the one that started it, so that no script writes where another one has begun."""
    while os.getppid() == parent:
        time.sleep(1.0)
    os._exit(1)


def count_params(net: nn.Module) -> int:
    """Return the number of parameters, BatchNorm's included, its running statistics not."""
    return sum(parameter.numel() for parameter in net.parameters())


def count_macs(forward: Callable[[torch.Tensor], Any], image: torch.Tensor) -> int:
    """Return the multiply-accumulates of convolutions and matrix products for one image, half of torch's FLOPs."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        forward(image)
    return int(counter.get_total_flops()) // 2


def export_onnx(net: nn.Module, image: torch.Tensor, path: Path) -> None:
    """Export a network that takes one (N, …) tensor, N free, to one file."""
    program = torch.onnx.export(
        net.eval(),
        (torch.cat([image, image]),),  # a batch of one would be taken for a constant
        input_names=["images"],
        output_names=["answers"],
        dynamic_shapes=({0: torch.export.Dim.DYNAMIC},),
        opset_version=18,
        dynamo=True,
        external_data=False,
        verbose=False,
    )
    program.save(str(path))
