"""The training loop: one network from scratch, epoch by epoch, resumable after each."""

import math
import time
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mango_grader.models import AnytimeClassifier, FromBytes
from mango_grader.progress import Progress
from mango_grader.training.batches import BatchSeries, Examples
from mango_grader.training.checkpoint import load_checkpoint, save_checkpoint
from mango_grader.training.device import Device, seed_everything
from mango_grader.training.divergence import DivergedError, all_finite, first_not_finite, lower_rate_hint
from mango_grader.training.learner import Learner
from mango_grader.training.recipe import Distillation, TrainRecipe, WeightRecipe


@dataclass
class Trainer:
    """Trains a network in place, epoch by epoch; it can stop after any epoch and continue from its checkpoint.

    Attributes:
        net: the network whose weights are learned.
        recipe: how they are learned, and for how many epochs.
        batches: what they are learned from.
        validation: images on which the accuracy is recorded after each epoch, if any; they choose nothing.
        device: where the network trains.
        seed: of everything random in an epoch but the batches.
        checkpoint: file to continue from if it exists; None keeps no state.
        checkpoint_every: seconds between two writes of the checkpoint.
        distillation: how the teacher's logits in `batches` join the loss; None without a teacher.
        name: of the progress bar, and of the phase in the history.
        settings: what `--set` calls the recipe, for error messages.
        stated: rates as they were set, for error messages, where the recipe's follow from them; None for its own.
        history: one row per epoch: phase, epoch from 1, loss, and validation accuracy of every exit.
    """

    net: AnytimeClassifier
    recipe: TrainRecipe
    batches: BatchSeries
    validation: Examples | None
    device: Device
    seed: int
    _: KW_ONLY
    checkpoint: Path | None = None
    checkpoint_every: float = 10.0
    distillation: Distillation | None = None
    name: str = "train"
    settings: str = "train"
    stated: WeightRecipe | None = None
    history: list[dict[str, Any]] = field(default_factory=list)

    def run(self, progress: Progress) -> None:
        """Train up to the recipe's last epoch; a finished training returns at once.

        Raises:
            DivergedError: at the first loss, weight or answer that is not a finite number; nothing of its epoch is
                kept.
        """
        learner = Learner(self.net, self.recipe, self.batches, self.device, self.distillation)
        start = self._restore(learner)
        saved = time.monotonic()
        with progress.task(self.name, self.recipe.epochs, start) as task:
            for epoch in range(start, self.recipe.epochs):
                row = self._epoch(epoch, learner)
                self.history.append(row)
                watched = {"accuracy": row["val_accuracy"][-1]} if self.validation else {}
                task.advance(loss=row["loss"], **watched)
                last = epoch + 1 == self.recipe.epochs
                if self.checkpoint and (last or time.monotonic() - saved > self.checkpoint_every):
                    state = {"epoch": epoch + 1, **learner.state_dict(), "history": list(self.history)}
                    save_checkpoint(self.checkpoint, state)
                    saved = time.monotonic()

    def _epoch(self, epoch: int, learner: Learner) -> dict[str, Any]:
        seed_everything(self.seed, epoch)
        learner.begin_epoch(epoch)
        first = epoch * self.batches.per_epoch
        losses: list[Tensor] = []
        for step in range(first, first + self.batches.per_epoch):
            losses.append(learner.step(step))
            if not self.device.is_gpu:  # to look at each would make a GPU wait; there all are looked at together
                self._require_finite(epoch, losses[-1:], step - first)
        learner.end_epoch()
        row: dict[str, Any] = {"phase": self.name, "epoch": epoch + 1, "loss": float(torch.stack(losses).mean())}
        if not math.isfinite(row["loss"]):
            self._require_finite(epoch, torch.stack(losses).tolist())
        if not all_finite(learner.state_dict()):
            raise self._diverged(f"after epoch {epoch + 1} the weights are no longer finite numbers")
        if self.validation:
            logits = predict(self.net, self.validation, self.device)
            if not np.isfinite(logits).all():
                raise self._diverged(f"after epoch {epoch + 1} the validation answers are not finite numbers")
            row["val_accuracy"] = [float(share) for share in (logits.argmax(-1) == self.validation.targets).mean(1)]
        return row

    def _require_finite(self, epoch: int, losses: Sequence[Tensor | float], before: int = 0) -> None:
        place = first_not_finite(losses)
        if place is not None:
            raise self._diverged(f"epoch {epoch + 1}, step {before + place + 1}: the loss is {float(losses[place])}")

    def _diverged(self, what: str) -> DivergedError:
        stated = self.stated or self.recipe.weights
        return DivergedError(f"{self.name}: {what}; {lower_rate_hint(f'{self.settings}.weights', stated)}")

    def _restore(self, learner: Learner) -> int:
        if self.checkpoint is None or not self.checkpoint.exists():
            return 0
        state = load_checkpoint(self.checkpoint, self.device.name)
        learner.load_state_dict(state)
        self.history[:] = state["history"]
        return int(state["epoch"])


def predict(net: nn.Module, examples: Examples, device: Device, batch_size: int = 128) -> NDArray[np.float32]:
    """Return the logits of every exit, (K, N, C), in evaluation mode.

    Args:
        net: any network with exits; its mode is restored afterwards.
        examples: N images.
        device: where the network is.
        batch_size: number of images at once.
    """
    mode = net.training
    net.eval()
    from_bytes = device.place(FromBytes())
    with torch.inference_mode(), device.autocast():
        parts = [net(from_bytes(device.send(batch.images))) for batch in examples.in_order(batch_size)]
    net.train(mode)
    stacked = torch.stack([torch.cat(exit_parts) for exit_parts in zip(*parts, strict=True)])
    return np.asarray(stacked.float().cpu().numpy())
