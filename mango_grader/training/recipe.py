"""How weights are learned: optimiser, schedule and loss as plain data, and the optimiser that follows from them."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import nn

from mango_grader.ranges import BelowOne, Count, CountOrNone, NotNegative, Positive, Ranged, Share


@dataclass(frozen=True)
class WeightRecipe(Ranged):
    """One optimiser and its cosine schedule.

    lr falls from `lr` to `final_lr` along a half cosine after a linear rise over the first `warmup` share of the steps.
    weight_decay spares biases and BatchNorm where `decay_norms` is off. clip: largest gradient norm, 0 for none.
    frozen_scale: BatchNorm scales stay at one (DSO-NAS §4.1). Raises RangeError for values out of range, ValueError for
    SGD that is `nesterov` without momentum.
    """

    optimiser: Literal["sgd", "adamw"] = "sgd"
    lr: NotNegative = 0.1
    final_lr: NotNegative = 0.0
    warmup: Share = 0.0
    momentum: BelowOne = 0.9
    nesterov: bool = False
    weight_decay: NotNegative = 5e-4
    decay_norms: bool = True
    clip: NotNegative = 0.0
    frozen_scale: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.optimiser == "sgd" and self.nesterov and not self.momentum:
            raise ValueError("nesterov needs a momentum above 0")

    def lr_at(self, step: int, steps: int) -> float:
        """Return the learning rate of step `step` (from 0) of `steps`."""
        warm = self.warmup * steps
        if step < warm:
            return self.lr * (step + 1) / (warm + 1)
        done = (step - warm) / max(1.0, steps - warm)
        return self.final_lr + (self.lr - self.final_lr) * (1 + math.cos(math.pi * min(1.0, done))) / 2

    def make_optimiser(self, net: nn.Module) -> torch.optim.Optimizer:
        """Return the optimiser over `net`'s parameters; freezes BatchNorm scales if the recipe says so."""
        if self.frozen_scale:
            for module in net.modules():
                if isinstance(module, nn.BatchNorm2d) and module.affine:
                    module.weight.requires_grad_(False)
        parameters = [p for p in net.parameters() if p.requires_grad]
        groups = [
            {"params": [p for p in parameters if self.decay_norms or p.ndim > 1], "weight_decay": self.weight_decay},
            {"params": [p for p in parameters if not self.decay_norms and p.ndim <= 1], "weight_decay": 0.0},
        ]
        kept = [group for group in groups if group["params"]]
        fused = any(p.is_cuda for p in parameters)
        if self.optimiser == "adamw":
            return torch.optim.AdamW(kept, lr=self.lr, fused=fused)
        return torch.optim.SGD(kept, lr=self.lr, momentum=self.momentum, nesterov=self.nesterov, fused=fused)


def step_with(
    optimiser: torch.optim.Optimizer, lr: float, parameters: Iterable[nn.Parameter], clip: float = 0.0
) -> None:
    """Clip, take one step at learning rate `lr`, and drop the gradients (those that stay None are not touched)."""
    if clip:
        torch.nn.utils.clip_grad_norm_([p for p in parameters if p.grad is not None], clip)
    for group in optimiser.param_groups:
        group["lr"] = lr
    optimiser.step()
    optimiser.zero_grad(set_to_none=True)


@dataclass(frozen=True)
class Distillation(Ranged):
    """How a teacher's answers join the loss: their weight w, in 0..1, and the temperature T > 0 that softens them.

    Raises RangeError for values out of range.
    """

    weight: Share
    temperature: Positive


@dataclass(frozen=True)
class TrainRecipe(Ranged):
    """How a network is trained from scratch.

    balance: strength of class weighting against imbalance, 0 to 1. exit_weights: one per exit, empty for equal ones.
    loss: "ordinal" is the squared earth mover's distance, for classes in order. ema: decay of the moving average of the
    weights that is measured and kept. distil: weight of the self-distillation from the last exit, at
    distil_temperature. drop_path, dropout: probabilities, the first one reached at the last epoch, the second replacing
    each exit's own. auxiliary: weight of an extra exit's loss. Zeros switch these off; drop path, dropout and auxiliary
    exit are there in training only. exit_gradient: how much of what earlier exits ask for reaches the features that
    they share with later ones, 0 to 1. Raises RangeError for values out of range, ValueError for exit weights that are
    all 0.
    """

    epochs: CountOrNone = 60
    batch_size: Count = 32
    weights: WeightRecipe = WeightRecipe(
        optimiser="adamw", lr=3e-3, warmup=0.1, weight_decay=0.05, decay_norms=False, clip=5.0
    )
    label_smoothing: BelowOne = 0.1
    balance: Share = 0.0
    exit_weights: tuple[NotNegative, ...] = ()
    loss: Literal["cross_entropy", "ordinal"] = "cross_entropy"
    ema: BelowOne = 0.0
    distil: NotNegative = 0.0
    distil_temperature: Positive = 2.0
    drop_path: BelowOne = 0.0
    dropout: BelowOne = 0.0
    auxiliary: NotNegative = 0.0
    exit_gradient: Share = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.exit_weights and not sum(self.exit_weights):
            raise ValueError("exit_weights must not all be 0")

    def lasting(self, epochs: int) -> "TrainRecipe":
        """Return the same recipe over another number of epochs."""
        return replace(self, epochs=epochs)
