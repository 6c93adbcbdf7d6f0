"""The loss over all exits, and what may join it: grades in order, self-distillation, an auxiliary exit."""

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
    """Return the mean cross entropy, each example weighted by its class."""
    return F.cross_entropy(logits, labels, weights, label_smoothing=smoothing)


def squared_earth_movers(logits: Tensor, labels: Tensor, weights: Tensor | None, smoothing: float) -> Tensor:
    """Return the mean over examples of Σ_c (P(class ≤ c) − [label ≤ c])², weighted by class (Hou et al. 2016, Eq. 4).

    For ordered classes: an answer next to the truth costs less than one far off. Label smoothing mixes the truth with
    the uniform distribution first.
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
    """L = Σ_k w_k · D(f_k(x), y) / Σ_k w_k, equal w_k by default (MS-RANAS §3, MSDNet §4.1); D is cross entropy.

    exit_weights: one per exit, or empty for equal ones. class_weights: (classes,), or None. label_smoothing in [0, 1).
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
        """Logits (N, classes) per exit and labels (N,) → scalar."""
        weights = self.exit_weights or (1.0,) * len(logits)
        classes = cast("Tensor | None", self.class_weights)
        losses = [
            weight * self.distance(exit_logits.float(), labels, classes, self.label_smoothing)
            for weight, exit_logits in zip(weights, logits, strict=True)
        ]
        return torch.stack(losses).sum() / sum(weights)


class Distilled(nn.Module):
    """(1 − w)·L + w·T²·Σ_k w_k·KL(teacher ‖ f_k) / Σ_k w_k, both softmax(· / T) (Hinton et al. 2015, §2).

    L is a loss over the exits on the labelled images alone, and its w_k weigh the exits here, too; every image counts
    in the second term. Where no image has a label, that term is all there is.
    """

    def __init__(self, loss: AnytimeLoss, distillation: Distillation) -> None:
        super().__init__()
        self.loss, self.distillation = loss, distillation

    def forward(self, logits: Sequence[Tensor], labels: Tensor, answers: Tensor) -> Tensor:
        """Logits (N, classes) per exit, labels (L,) of the first L, and the teacher's logits (N, classes) → scalar."""
        weights = self.loss.exit_weights or (1.0,) * len(logits)
        temperature, labelled = self.distillation.temperature, len(labels)
        teacher = (answers.float() / temperature).log_softmax(1)
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


class SelfDistilled(nn.Module):
    """L + w · T² · mean over earlier exits k of KL(p_last ‖ p_k), p = softmax(logits / T) (Hinton et al. 2015, §2).

    The last exit teaches and learns nothing from it. temperature: T > 0.
    """

    def __init__(self, loss: nn.Module, weight: float, temperature: float) -> None:
        super().__init__()
        self.loss, self.weight, self.temperature = loss, weight, temperature

    def forward(self, logits: Sequence[Tensor], labels: Tensor, *answers: Tensor) -> Tensor:
        """Logits (N, classes) per exit, and what the loss that it adds to takes besides → scalar."""
        own: Tensor = self.loss(logits, labels, *answers)
        if len(logits) == 1:
            return own
        *earlier, last = ((each.float() / self.temperature).log_softmax(1) for each in logits)
        teacher = last.detach()
        apart = [F.kl_div(each, teacher, reduction="batchmean", log_target=True) for each in earlier]
        return own + self.weight * self.temperature**2 * torch.stack(apart).mean()


class WithAuxiliary(nn.Module):
    """The loss of all exits but the last, and `weight` times the loss of the last, the auxiliary one, by itself."""

    def __init__(self, loss: nn.Module, alone: nn.Module, weight: float) -> None:
        super().__init__()
        self.loss, self.alone, self.weight = loss, alone, weight

    def forward(self, logits: Sequence[Tensor], labels: Tensor, *answers: Tensor) -> Tensor:
        """Logits (N, classes) per exit, the auxiliary one last, and what both losses take besides → scalar."""
        own: Tensor = self.loss(logits[:-1], labels, *answers)
        auxiliary: Tensor = self.alone(logits[-1:], labels, *answers)
        return own + self.weight * auxiliary


def training_loss(
    recipe: TrainRecipe, labels: NDArray[np.int64], classes: int, distillation: Distillation | None = None
) -> nn.Module:
    """Return the loss that `recipe` describes; `labels` (N,) of the training part say how rare each class is.

    With `distillation`, the loss takes a teacher's logits (N, classes) as its third argument.
    """
    balance = balanced_weights(labels, classes, recipe.balance) if recipe.balance else None
    parts = balance, recipe.label_smoothing, DISTANCES[recipe.loss]

    def over_exits(weights: Sequence[float]) -> nn.Module:
        plain = AnytimeLoss(weights, *parts)
        return Distilled(plain, distillation) if distillation else plain

    loss = over_exits(recipe.exit_weights)
    if recipe.distil:
        loss = SelfDistilled(loss, recipe.distil, recipe.distil_temperature)
    if recipe.auxiliary:
        loss = WithAuxiliary(loss, over_exits(()), recipe.auxiliary)
    return loss


def balanced_weights(labels: NDArray[np.int64], classes: int, strength: float = 1.0) -> NDArray[np.float64]:
    """Return class weights ∝ frequency^−strength with mean 1 over the examples; strength in [0, 1], 0 weighs all alike.

    A class without examples gets the weight of one that has a single example.
    """
    counts = np.maximum(np.bincount(labels, minlength=classes), 1)
    weights = counts.astype(float) ** -strength
    return np.asarray(weights * (len(labels) / (weights * np.bincount(labels, minlength=classes)).sum()))
