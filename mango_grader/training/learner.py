"""What takes the training steps: a network, regularised and averaged as the recipe says, its loss and its optimiser."""

from typing import Any

import torch
from torch import Tensor, nn

from mango_grader.models import AnytimeClassifier, NetworkSpec, build_network
from mango_grader.models.modules import DropPath
from mango_grader.models.regularise import with_auxiliary, with_drop_path, with_dropout, with_exit_gradient
from mango_grader.training.batches import BatchSeries
from mango_grader.training.data_parallel import Blueprint, DataParallel
from mango_grader.training.device import Device
from mango_grader.training.losses import training_loss
from mango_grader.training.recipe import Distillation, TrainRecipe, step_with


class Learner:
    """A network with its loss and its optimiser, which takes the training steps.

    Where the recipe regularises or averages, a second network takes the steps, and `kept` follows it: after each step
    as its moving average, or after each epoch with the weights themselves. Otherwise `kept` itself takes them.

    Args:
        kept: the network that is measured and saved.
        recipe: how weights are learned.
        batches: what they are learned from.
        device: where the networks are.
        distillation: how the teacher's logits in `batches` join the loss; None without a teacher.

    Attributes:
        net: the network that takes the steps.
    """

    def __init__(
        self,
        kept: AnytimeClassifier,
        recipe: TrainRecipe,
        batches: BatchSeries,
        device: Device,
        distillation: Distillation | None = None,
    ) -> None:
        self.kept, self.recipe, self.batches, self.device = kept, recipe, batches, device
        device.place(kept)
        spec = _regularised(kept.spec, recipe)
        self.net = kept
        if recipe.ema or spec != kept.spec:
            self.net = build_network(spec)
            self.net.load_state_dict(kept.state_dict(), strict=False)  # an auxiliary exit has new weights
            device.place(self.net)
        self._average = MovingAverage(kept, self.net, recipe.ema) if recipe.ema else None
        self._optimiser = recipe.weights.make_optimiser(self.net)
        self._loss = device.place(training_loss(recipe, batches.examples.targets, spec.classes, distillation))
        self._parallel = DataParallel(self.net, Blueprint.of(spec), device)
        self._paths = [module for module in self.net.modules() if isinstance(module, DropPath)]

    def begin_epoch(self, epoch: int) -> None:
        """Go to training mode; the probability of dropping a path rises from epoch to epoch.

        Args:
            epoch: number of the epoch, from 0.
        """
        self.net.train()
        for path in self._paths:
            path.progress = epoch / max(1, self.recipe.epochs - 1)

    def step(self, number: int) -> Tensor:
        """Take a step and return the detached loss, without waiting for the device.

        Args:
            number: of the step, from 0.
        """
        batch, weights = self.batches[number], self.recipe.weights
        teacher_logits = () if batch.teacher_logits is None else (self.device.send(batch.teacher_logits),)
        for logits in self._parallel.passes(number, batch.images):
            with self.device.autocast():
                value: Tensor = self._loss(logits, self.device.send(batch.labels), *teacher_logits)
            value.backward()  # type: ignore[no-untyped-call]
        lr = weights.lr_at(number, self.batches.per_epoch * self.recipe.epochs)
        step_with(self._optimiser, lr, self.net.parameters(), weights.clip)
        if self._average is not None:
            self._average.update(number)
        return value.detach()

    def end_epoch(self) -> None:
        """Bring `kept` up to date."""
        if self._average is None and self.net is not self.kept:
            learned = self.net.state_dict()
            self.kept.load_state_dict({name: learned[name] for name in self.kept.state_dict()})

    def state_dict(self) -> dict[str, Any]:
        """Return all that a resumed training needs, between two epochs."""
        return {
            "net": dict(self.net.state_dict()),
            "kept": {} if self.net is self.kept else dict(self.kept.state_dict()),
            "optimiser": self._optimiser.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self.net.load_state_dict(state["net"])
        if self.net is not self.kept:
            self.kept.load_state_dict(state["kept"])
        self._optimiser.load_state_dict(state["optimiser"])


class MovingAverage:
    """The exponential moving average of a network's state: a ← d · a + (1 − d) · w after each step.

    The average often does better than the weights of the last step, and varies less. d = min(decay, (1 + step) / (10 +
    step)), so that a short training does not end near its first weights. BatchNorm's running figures are averaged
    alike; integers are copied. torch's own AveragedModel would wait for the device at each step.

    Args:
        follower: holds the average; any network whose state has names that are also the learner's.
        learner: the network that takes the steps.
        decay: largest d, from 0 to below 1.
    """

    def __init__(self, follower: nn.Module, learner: nn.Module, decay: float) -> None:
        self.decay = decay
        learned = learner.state_dict()
        pairs = [(own, learned[name]) for name, own in follower.state_dict().items()]
        self._floats = [pair for pair in pairs if pair[0].is_floating_point()]
        self._whole = [pair for pair in pairs if not pair[0].is_floating_point()]

    def decay_at(self, step: int) -> float:
        """Return d after a step.

        Args:
            step: number of the step, from 0.
        """
        return min(self.decay, (1 + step) / (10 + step))

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Average in the weights.

        Args:
            step: number of the step that was taken, from 0.
        """
        torch._foreach_lerp_(
            [own for own, _ in self._floats], [new for _, new in self._floats], 1 - self.decay_at(step)
        )
        for own, new in self._whole:
            own.copy_(new)


def _regularised(spec: NetworkSpec, recipe: TrainRecipe) -> NetworkSpec:
    if recipe.drop_path:
        spec = with_drop_path(spec, recipe.drop_path)
    if recipe.dropout:
        spec = with_dropout(spec, recipe.dropout)
    if recipe.exit_gradient != 1:
        spec = with_exit_gradient(spec, recipe.exit_gradient)
    return with_auxiliary(spec) if recipe.auxiliary else spec
