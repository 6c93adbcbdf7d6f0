"""The training loop: one network from scratch, epoch by epoch, resumable after each."""

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from mango_grader.models import AnytimeClassifier, FromBytes
from mango_grader.progress import Progress
from mango_grader.training.batches import BatchSeries, Examples
from mango_grader.training.checkpoint import load_checkpoint, save_checkpoint
from mango_grader.training.device import Device, seed_everything
from mango_grader.training.learner import Learner
from mango_grader.training.recipe import Teaching, TrainRecipe


@dataclass
class Trainer:
    """Trains `net` in place on `batches`; `validation` is only watched, if there is any; it chooses nothing.

    checkpoint: a file to continue from if it exists, written every `checkpoint_every` seconds; None keeps no state.
    teaching: how the teacher's answers count that `batches` bring. `history` grows by a row an epoch. name: of the
    progress bar, and of the phase in the history.
    """

    net: AnytimeClassifier
    recipe: TrainRecipe
    batches: BatchSeries
    validation: Examples | None
    classes: int
    device: Device
    seed: int
    checkpoint: Path | None = None
    checkpoint_every: float = 10.0
    teaching: Teaching | None = None
    name: str = "train"
    history: list[dict[str, Any]] = field(default_factory=list)

    def run(self, progress: Progress) -> None:
        """Train up to the recipe's last epoch; running it again is free."""
        learner = Learner(self.net, self.recipe, self.batches, self.classes, self.device, self.teaching)
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
        losses = [learner.step(step) for step in range(first, first + self.batches.per_epoch)]
        learner.end_epoch()
        row = {"phase": self.name, "epoch": epoch + 1, "loss": float(torch.stack(losses).mean())}
        if self.validation:
            predicted = predict(self.net, self.validation, self.device).argmax(-1)
            row["val_accuracy"] = [float(share) for share in (predicted == self.validation.targets).mean(1)]
        return row

    def _restore(self, learner: Learner) -> int:
        if self.checkpoint is None or not self.checkpoint.exists():
            return 0
        state = load_checkpoint(self.checkpoint, self.device.name)
        learner.load_state_dict(state)
        self.history[:] = state["history"]
        return int(state["epoch"])


def predict(net: nn.Module, examples: Examples, device: Device, batch_size: int = 128) -> NDArray[np.float32]:
    """Return logits (exits, len(examples), classes) in evaluation mode; the net's mode is as before after."""
    mode = net.training
    net.eval()
    from_bytes = device.place(FromBytes())
    with torch.inference_mode(), device.autocast():
        parts = [net(from_bytes(device.send(batch.images))) for batch in examples.in_order(batch_size)]
    net.train(mode)
    stacked = torch.stack([torch.cat(exit_parts) for exit_parts in zip(*parts, strict=True)])
    return np.asarray(stacked.float().cpu().numpy())
