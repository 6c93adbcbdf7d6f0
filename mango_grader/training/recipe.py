"""How weights are learned: optimiser, schedule and loss as plain data, and the optimiser that follows from them."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import nn

from mango_grader.ranges import BelowOne, Count, CountOrNone, NotNegative, Positive, Ranged, Share


@dataclass(frozen=True)
class WeightRecipe(Ranged):
    """How one set of weights is learned: an optimiser and a cosine schedule of its learning rate.

    Attributes:
        optimiser: "sgd" or "adamw".
        lr: highest learning rate, 0 or more; reached after the warm-up.
        final_lr: learning rate at the last step, 0 or more; `lr` falls to it along half a cosine.
        warmup: share of the steps, 0 to 1, over which the rate first rises linearly.
        momentum: of SGD, from 0 to below 1; AdamW ignores it.
        nesterov: whether SGD uses Nesterov's momentum.
        weight_decay: 0 or more; decoupled from the gradient with AdamW, an L2 penalty with SGD.
        decay_norms: whether biases and BatchNorm's parameters decay, too.
        clip: largest norm of the whole gradient; 0 does not clip.
        frozen_scale: whether BatchNorm's scales stay at 1 (DSO-NAS, §4.1).

    Raises:
        RangeError: for values out of range.
        ValueError: for SGD with `nesterov` but without momentum.
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

    def ignored(self) -> Mapping[str, str]:
        """Return what the optimiser does not have."""
        if self.optimiser == "sgd":
            return {}
        return dict.fromkeys(("momentum", "nesterov"), "AdamW has no such setting; choose optimiser=sgd")

    def lr_at(self, step: int, steps: int) -> float:
        """Return the learning rate of one step.

        Args:
            step: number of the step, from 0.
            steps: how many steps the training has.
        """
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
    """Take one step and drop the gradients; parameters without a gradient stay as they are.

    Args:
        optimiser: takes the step.
        lr: learning rate of this step.
        parameters: all whose gradients are clipped together.
        clip: largest norm of the gradient; 0 does not clip.
    """
    if clip:
        torch.nn.utils.clip_grad_norm_([p for p in parameters if p.grad is not None], clip)
    for group in optimiser.param_groups:
        group["lr"] = lr
    optimiser.step()
    optimiser.zero_grad(set_to_none=True)


@dataclass(frozen=True)
class Distillation(Ranged):
    """How a teacher's logits join the loss (Hinton et al., 2015, §2).

    Attributes:
        weight: w, share of the distillation term in the loss, 0 to 1.
        temperature: T, by which teacher's and student's logits are divided, above 0.

    Raises:
        RangeError: for values out of range.
    """

    weight: Share
    temperature: Positive


@dataclass(frozen=True)
class TrainRecipe(Ranged):
    """How a network is trained from scratch; what is 0 by default is off by default.

    Attributes:
        epochs: passes over the training images, 0 or more.
        batch_size: images in a mini-batch, 1 or more.
        weights: optimiser and learning rate.
        label_smoothing: share of the label that is spread over all classes, from 0 to below 1.
        balance: exponent of class weighting, 0 to 1: classes weigh as their frequency to the power of −balance.
        exit_weights: weight of each exit's loss, 0 or more, not all 0; empty for equal weights.
        loss: "cross_entropy", or "ordinal" for grades in order: the squared earth mover's distance.
        ema: decay of the moving average of the weights, from 0 to below 1; the average is what is measured and kept.
        distil: weight of self-distillation from the last exit to the earlier ones, 0 or more.
        distil_temperature: temperature of the self-distillation, above 0.
        drop_path: probability, from 0 to below 1, that a path into a sum is dropped; it rises to this value over
            training.
        dropout: probability, from 0 to below 1, before the linear layer of every exit; replaces the network's own.
        auxiliary: weight of the loss of an extra exit that only training has, 0 or more.
        exit_gradient: share of the gradient, 0 to 1, that earlier exits pass on to the features that they share with
            later ones.

    Raises:
        RangeError: for values out of range.
        ValueError: for exit weights that are all 0.
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

    def ignored(self) -> Mapping[str, str]:
        """Return what belongs to terms that the loss does not have."""
        return {} if self.distil else {"distil_temperature": "without self-distillation there is none; set distil, too"}

    def lasting(self, epochs: int) -> "TrainRecipe":
        """Return the same recipe over another number of epochs."""
        return replace(self, epochs=epochs)


@dataclass(frozen=True)
class FineTuning(Ranged):
    """How a training that starts from inherited weights differs from one from scratch.

    Attributes:
        rate: factor on the highest learning rate of the training, above 0; a training of fewer than `steps` steps has
            one in proportion, since at the full rate it would undo more than it learns.
        warmup: share of the steps, 0 to 1, over which the rate rises.
        recalibration: training batches, 1 or more, of which BatchNorm's statistics are taken for the network that was
            found: the super net's are means over many paths, and fit none (SPOS, §3.4).
        steps: that a fine-tuning should have at least, 1 or more; a budget plan leaves it as many, as far as the
            shortest search allows.

    Raises:
        RangeError: for values out of range.

    Example:
        >>> FineTuning(rate=0.5, steps=100).of(TrainRecipe(), steps=400).weights.lr
        0.0015
        >>> FineTuning(rate=0.5, steps=100).of(TrainRecipe(), steps=50).weights.lr
        0.00075
    """

    rate: Positive = 1.0
    warmup: Share = 0.05
    recalibration: Count = 8
    steps: Count = 100

    def of(self, recipe: TrainRecipe, steps: int) -> TrainRecipe:
        """Return the recipe of a training from scratch, changed for inherited weights.

        Args:
            recipe: of a training from scratch.
            steps: that the fine-tuning has, 0 or more.
        """
        rate = self.rate * min(1.0, steps / self.steps)
        weights = replace(recipe.weights, lr=rate * recipe.weights.lr, warmup=self.warmup)
        return replace(recipe, weights=weights)
