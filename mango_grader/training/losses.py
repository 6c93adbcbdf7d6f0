"""The loss over all exits, and what may join it: ordinal distance, a teacher, self-distillation, an auxiliary exit."""

from collections.abc import Callable, Mapping, Sequence
from typing import cast

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from mango_grader.training.recipe import Distillation, TrainRecipe

Distance = Callable[[Tensor, Tensor, Tensor | None, float], Tensor]
"""From logits (N, classes), labels (N,), class weights (classes,) or None, and label smoothing to a scalar."""


def cross_entropy(logits: Tensor, labels: Tensor, weights: Tensor | None, smoothing: float) -> Tensor:
    """Return the mean cross entropy.

    Args:
        logits: (N, C).
        labels: int (N,).
        weights: (C,), each image weighs as its class; None for equal weights.
        smoothing: share of the label that is spread over all classes, from 0 to below 1.
    """
    return F.cross_entropy(logits, labels, weights, label_smoothing=smoothing)


def squared_earth_movers(logits: Tensor, labels: Tensor, weights: Tensor | None, smoothing: float) -> Tensor:
    """Return the mean over images of Σ_c (P(class ≤ c) − [label ≤ c])², for classes in order.

    An answer next to the label costs less than one far off. Source: Hou et al. (2016), equation 4.

    Args:
        logits: (N, C).
        labels: int (N,).
        weights: (C,), each image weighs as its class; None for equal weights.
        smoothing: share of the label that is first spread over all classes, from 0 to below 1.
    """
    classes = logits.shape[1]
    truth = F.one_hot(labels, classes).float() * (1 - smoothing) + smoothing / classes
    distance = (logits.softmax(1) - truth).cumsum(1).square().sum(1)
    if weights is None:
        return distance.mean()
    each = weights[labels]
    return (distance * each).sum() / each.sum()


DISTANCES: Mapping[str, Distance] = {"cross_entropy": cross_entropy, "ordinal": squared_earth_movers}


class AnytimeLoss(nn.Module):
    """L = Σ_k w_k · D(f_k(x), y) / Σ_k w_k, over the exits k.

    Source: MSDNet (Huang et al., 2018), §4.1; MS-RANAS, §3. D is the cross entropy by default.

    Args:
        exit_weights: (K,), w_k, 0 or more; empty for equal weights.
        class_weights: (C,), each image weighs as its class; None for equal weights.
        label_smoothing: from 0 to below 1.
        distance: D.
    """

    def __init__(
        self,
        exit_weights: Sequence[float] = (),
        class_weights: NDArray[np.float64] | None = None,
        label_smoothing: float = 0.0,
        distance: Distance = cross_entropy,
    ) -> None:
        super().__init__()
        self.exit_weights = tuple(exit_weights)
        self.label_smoothing = label_smoothing
        self.distance = distance
        weights = None if class_weights is None else torch.as_tensor(class_weights, dtype=torch.float32)
        self.register_buffer("class_weights", weights, persistent=False)

    def forward(self, logits: Sequence[Tensor], labels: Tensor) -> Tensor:
        """Return the loss, a scalar.

        Args:
            logits: (N, C) of each exit.
            labels: int (N,).
        """
        weights = self.exit_weights or (1.0,) * len(logits)
        classes = cast("Tensor | None", self.class_weights)
        losses = [
            weight * self.distance(exit_logits.float(), labels, classes, self.label_smoothing)
            for weight, exit_logits in zip(weights, logits, strict=True)
        ]
        return torch.stack(losses).sum() / sum(weights)


class DistillationLoss(nn.Module):
    """(1 − w) · L + w · T² · Σ_k w_k · KL(teacher ‖ f_k) / Σ_k w_k, both sides softmax(· / T).

    L counts the labelled images alone, the second term every image. Where no image has a label, the second term is the
    whole loss. Source: Hinton et al. (2015), §2.

    Args:
        loss: L; its weights w_k of the exits hold for the second term, too.
        distillation: w and T.
    """

    def __init__(self, loss: AnytimeLoss, distillation: Distillation) -> None:
        super().__init__()
        self.loss, self.distillation = loss, distillation

    def forward(self, logits: Sequence[Tensor], labels: Tensor, teacher_logits: Tensor) -> Tensor:
        """Return the loss, a scalar.

        Args:
            logits: (N, C) of each exit.
            labels: int (L,), of the first L images.
            teacher_logits: (N, C), of every image.
        """
        weights = self.loss.exit_weights or (1.0,) * len(logits)
        temperature, labelled = self.distillation.temperature, len(labels)
        teacher = (teacher_logits.float() / temperature).log_softmax(1)
        apart = [
            weight
            * F.kl_div((each.float() / temperature).log_softmax(1), teacher, reduction="batchmean", log_target=True)
            for weight, each in zip(weights, logits, strict=True)
        ]
        distilled = temperature**2 * torch.stack(apart).sum() / sum(weights)
        if not labelled:
            return self.distillation.weight * distilled
        own: Tensor = self.loss([each[:labelled] for each in logits], labels)
        return (1 - self.distillation.weight) * own + self.distillation.weight * distilled


class SelfDistillationLoss(nn.Module):
    """L + w · T² · mean over earlier exits k of KL(p_last ‖ p_k), where p = softmax(logits / T).

    No gradient of the second term reaches the last exit. Source: Hinton et al. (2015), §2.

    Args:
        loss: L.
        weight: w, 0 or more.
        temperature: T, above 0.
    """

    def __init__(self, loss: nn.Module, weight: float, temperature: float) -> None:
        super().__init__()
        self.loss, self.weight, self.temperature = loss, weight, temperature

    def forward(self, logits: Sequence[Tensor], labels: Tensor, *teacher_logits: Tensor) -> Tensor:
        """Return the loss, a scalar.

        Args:
            logits: (N, C) of each exit.
            labels: int (L,), of the first L images.
            *teacher_logits: (N, C), of every image, if L takes them.
        """
        own: Tensor = self.loss(logits, labels, *teacher_logits)
        if len(logits) == 1:
            return own
        *earlier, last = ((each.float() / self.temperature).log_softmax(1) for each in logits)
        teacher = last.detach()
        apart = [F.kl_div(each, teacher, reduction="batchmean", log_target=True) for each in earlier]
        return own + self.weight * self.temperature**2 * torch.stack(apart).mean()


class AuxiliaryExitLoss(nn.Module):
    """The loss of all exits but the last, plus a weight times the loss of the last, the auxiliary exit.

    Args:
        loss: over the network's own exits.
        alone: over the auxiliary exit by itself.
        weight: of the auxiliary exit's loss, 0 or more.
    """

    def __init__(self, loss: nn.Module, alone: nn.Module, weight: float) -> None:
        super().__init__()
        self.loss, self.alone, self.weight = loss, alone, weight

    def forward(self, logits: Sequence[Tensor], labels: Tensor, *teacher_logits: Tensor) -> Tensor:
        """Return the loss, a scalar.

        Args:
            logits: (N, C) of each exit, the auxiliary one last.
            labels: int (L,), of the first L images.
            *teacher_logits: (N, C), of every image, if the losses take them.
        """
        own: Tensor = self.loss(logits[:-1], labels, *teacher_logits)
        auxiliary: Tensor = self.alone(logits[-1:], labels, *teacher_logits)
        return own + self.weight * auxiliary


def training_loss(
    recipe: TrainRecipe, labels: NDArray[np.int64], classes: int, distillation: Distillation | None = None
) -> nn.Module:
    """Return the loss that a recipe describes.

    Args:
        recipe: which terms the loss has, and their weights.
        labels: int (N,), of the training images; they say how rare each class is.
        classes: number of classes.
        distillation: with it, the loss takes a teacher's logits (N, C) as its third argument.
    """
    balance = balanced_weights(labels, classes, recipe.balance) if recipe.balance else None
    parts = balance, recipe.label_smoothing, DISTANCES[recipe.loss]

    def over_exits(weights: Sequence[float]) -> nn.Module:
        plain = AnytimeLoss(weights, *parts)
        return DistillationLoss(plain, distillation) if distillation else plain

    loss = over_exits(recipe.exit_weights)
    if recipe.distil:
        loss = SelfDistillationLoss(loss, recipe.distil, recipe.distil_temperature)
    if recipe.auxiliary:
        loss = AuxiliaryExitLoss(loss, over_exits(()), recipe.auxiliary)
    return loss


def balanced_weights(labels: NDArray[np.int64], classes: int, strength: float = 1.0) -> NDArray[np.float64]:
    """Return class weights ∝ frequency^−strength, (C,), with mean 1 over the images.

    A class without images gets the weight of one that has a single image.

    Args:
        labels: int (N,).
        classes: number of classes.
        strength: 0 to 1; 0 weighs all classes alike.
    """
    counts = np.maximum(np.bincount(labels, minlength=classes), 1)
    weights = counts.astype(float) ** -strength
    return np.asarray(weights * (len(labels) / (weights * np.bincount(labels, minlength=classes)).sum()))
