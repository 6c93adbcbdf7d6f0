"""The loss over all exits."""

from collections.abc import Sequence
from typing import cast

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn


class AnytimeLoss(nn.Module):
    """L = Σ_k w_k · CE(f_k(x), y) / Σ_k w_k, equal w_k by default (MS-RANAS §3, MSDNet §4.1).

    exit_weights: one per exit, or empty for equal ones. class_weights: (classes,), or None. label_smoothing in [0, 1).
    """

    def __init__(
        self,
        exit_weights: Sequence[float] = (),
        class_weights: NDArray[np.float64] | None = None,
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__()
        self.exit_weights = tuple(exit_weights)
        self.label_smoothing = label_smoothing
        weights = None if class_weights is None else torch.as_tensor(class_weights, dtype=torch.float32)
        self.register_buffer("class_weights", weights, persistent=False)

    def forward(self, logits: Sequence[Tensor], labels: Tensor) -> Tensor:
        """Logits (N, classes) per exit and labels (N,) → scalar."""
        weights = self.exit_weights or (1.0,) * len(logits)
        classes = cast("Tensor | None", self.class_weights)
        losses = [
            weight * F.cross_entropy(exit_logits.float(), labels, classes, label_smoothing=self.label_smoothing)
            for weight, exit_logits in zip(weights, logits, strict=True)
        ]
        return torch.stack(losses).sum() / sum(weights)


def balanced_weights(labels: NDArray[np.int64], classes: int, strength: float = 1.0) -> NDArray[np.float64]:
    """Return class weights ∝ frequency^−strength with mean 1 over the examples; strength in [0, 1], 0 weighs all alike.

    A class without examples gets the weight of one that has a single example.
    """
    counts = np.maximum(np.bincount(labels, minlength=classes), 1)
    weights = counts.astype(float) ** -strength
    return np.asarray(weights * (len(labels) / (weights * np.bincount(labels, minlength=classes)).sum()))
