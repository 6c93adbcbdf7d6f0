"""The weights that all architectures of a super net share: how they learn, and what an architecture step may see."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from torch import Tensor, nn

from mango_grader.automl.cost import CostModel
from mango_grader.automl.evaluate import Score
from mango_grader.automl.objective import Objective
from mango_grader.automl.ranks import blueprint_of
from mango_grader.automl.sandwich import Sandwich, SandwichRule
from mango_grader.automl.search_space import SearchSpace
from mango_grader.automl.supernet import Gates
from mango_grader.models import FromBytes
from mango_grader.training.batches import Batch, Batches, Examples
from mango_grader.training.data_parallel import DataParallel
from mango_grader.training.device import Device
from mango_grader.training.losses import AnytimeLoss, DistillationLoss
from mango_grader.training.recipe import WeightRecipe, step_with

_SCORE_BATCH = 128

Parameters = dict[str, Tensor]


@dataclass(frozen=True)
class SearchData:
    """What shared weights learn from, and what architectures are scored on.

    Attributes:
        batches: training mini-batches of the shared weights.
        held_out: examples that only the architecture sees.
        loss: that the shared weights descend.
        device: where the super net trains.
        sandwich: which paths share a step of the weights; by default one that the method opens has it alone.
    """

    batches: Batches
    held_out: Examples
    loss: AnytimeLoss = field(default_factory=AnytimeLoss)
    device: Device = Device("cpu")
    sandwich: SandwichRule = SandwichRule()


class SharedTraining:
    """The super net, its optimiser, and the data that each of the two sides may see.

    Args:
        space: whose super net it is.
        recipe: how its weights learn.
        data: what they learn from, and what architectures are scored on.
        sandwich: the paths that learn in every step; None for those that are drawn alone.
        surrogate: the loss that architectures descend, see `surrogate_loss`; None for that of the weights.

    Attributes:
        net: the super net, freshly initialised.
        batches: training mini-batches.
        paths: how many are drawn for each weight step.
        rewards: held-out mini-batches as large as the training's, one per architecture step.
        held_out: all held-out examples, in batches large enough for their statistics.
        optimiser: of the shared weights.
    """

    def __init__(
        self,
        space: SearchSpace,
        recipe: WeightRecipe,
        data: SearchData,
        sandwich: Sandwich | None = None,
        surrogate: AnytimeLoss | None = None,
    ) -> None:
        self.net, self.recipe, self.device = space.supernet(), recipe, data.device
        self.device.place(self.net)
        self.batches = data.batches
        mixed = data.held_out.shuffled(data.batches.seed)
        self.rewards: Sequence[Batch] = list(mixed.in_order(data.batches.batch_size))
        self.held_out: Sequence[Batch] = list(mixed.in_order(_SCORE_BATCH))
        self.optimiser = recipe.make_optimiser(self.net)
        self._loss = self.device.place(data.loss)
        self._sandwich, self.paths = sandwich, 1
        if sandwich is not None:
            self.paths = sandwich.rule.drawn
            self._distilled = self.device.place(DistillationLoss(data.loss, sandwich.rule.distillation))
        self._surrogate = self._loss if surrogate is None else self.device.place(surrogate)
        self._from_bytes = self.device.place(FromBytes())
        self._parallel = DataParallel(self.net, blueprint_of(space), self.device)

    def loss(self, batch: Batch, gates: Gates, parameters: Parameters | None = None) -> Tensor:
        """Return the loss of the weights.

        Args:
            batch: images and labels.
            gates: under which the net runs.
            parameters: that the net is to have for this, by name; None for its own.
        """
        return self._under(self._loss, batch, gates, parameters)

    def surrogate_loss(self, batch: Batch, gates: Gates, parameters: Parameters | None = None) -> Tensor:
        """Return the loss of the architecture, which stands for the objective.

        Args:
            batch: images and labels.
            gates: under which the net runs.
            parameters: that the net is to have for this, by name; None for its own.
        """
        return self._under(self._surrogate, batch, gates, parameters)

    def _under(self, loss: nn.Module, batch: Batch, gates: Gates, parameters: Parameters | None) -> Tensor:
        images, labels = self._sent(batch)
        with self.device.autocast():
            if parameters is None:
                logits = self.net(images, gates)
            else:
                logits = torch.func.functional_call(self.net, parameters, (images, gates))
            value: Tensor = loss(logits, labels)
        return value

    def step(self, number: int, steps: int, *gates: Gates) -> Tensor:
        """Take a weight step and return the detached loss, the mean over its paths (no host synchronisation).

        Args:
            number: of the step, from 0.
            steps: how many there are in all, for the learning rate.
            *gates: under which the net runs, each in a pass of its own: `paths` of them.
        """
        value = self._backpropagate(number, gates)
        step_with(self.optimiser, self.recipe.lr_at(number, steps), self.net.parameters(), self.recipe.clip)
        return value

    def _backpropagate(self, number: int, gates: Sequence[Gates]) -> Tensor:
        """Add up the gradients of all paths, one at a time, so that memory holds the features of one."""
        batch, losses = self.batches[number], list[Tensor]()
        labels, answers = self.device.send(batch.labels), list[Tensor]()
        if self._sandwich is not None:
            gates = self._sandwich.largest, self._sandwich.smallest, *gates
        self.net.train()
        for logits in self._parallel.passes(number, batch.images, gates):
            with self.device.autocast():
                value: Tensor = self._distilled(logits, labels, answers[0]) if answers else self._loss(logits, labels)
            value.backward()  # type: ignore[no-untyped-call]
            losses.append(value.detach())
            answers.append(logits[-1].detach())  # the first ones, of the largest path, teach the others
        return torch.stack(losses).mean()

    def _sent(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return standardised images and labels on the device, the net in training mode."""
        self.net.train()
        return self._from_bytes(self.device.send(batch.images)), self.device.send(batch.labels)

    def learned(self) -> Parameters:
        """Return the shared weights that are learned, by name."""
        return {name: parameter for name, parameter in self.net.named_parameters() if parameter.requires_grad}


@dataclass(frozen=True)
class SharedStep:
    """What one architecture step may ask of the super net: losses on a training and on a held-out mini-batch.

    The losses carry gradients to the gates' weights and to the net's. The net itself learns nothing from them.

    Attributes:
        training: the super net and its data.
        number: of the step, from 0.
    """

    training: SharedTraining
    number: int

    @property
    def rate(self) -> float:
        """Current learning rate of the shared weights."""
        return float(self.training.optimiser.param_groups[0]["lr"])

    @cached_property
    def _training_batch(self) -> Batch:
        return self.training.batches[self.number]

    def held_out_loss(self, gates: Gates, parameters: Parameters | None = None) -> Tensor:
        """Return the surrogate loss on this step's held-out mini-batch.

        Args:
            gates: under which the net runs.
            parameters: that the net is to have for this, by name; None for its own.
        """
        rewards = self.training.rewards
        return self.training.surrogate_loss(rewards[self.number % len(rewards)], gates, parameters)

    def training_loss(self, gates: Gates, parameters: Parameters | None = None) -> Tensor:
        """Return the loss on this step's training mini-batch.

        Args:
            gates: under which the net runs.
            parameters: that the net is to have for this, by name; None for its own.
        """
        return self.training.loss(self._training_batch, gates, parameters)

    def learned(self) -> Parameters:
        """Return the shared weights w, by name; those that `training_loss` under some gates does not use included."""
        return self.training.learned()

    def buffers(self) -> Parameters:
        """Return copies of the net's buffers, so that a pass with other parameters leaves the net's own untouched."""
        return {name: buffer.clone() for name, buffer in self.training.net.named_buffers()}

    def virtual_step(self, gates: Gates, rate: float) -> Parameters:
        """Return w′, the weights after one step of SGD with momentum at `rate` on the training mini-batch.

        w′ = w − rate · (m·v + ∇L + decay·w) (DARTS §2.3). The net stays as it is; w′ are leaves that require gradients,
        together with copies of the buffers.
        """
        weights = self.learned()
        value = self.training_loss(gates, {**weights, **self.buffers()})
        slopes = torch.autograd.grad(value, list(weights.values()), allow_unused=True)
        ahead = {
            name: (weight if slope is None else weight - rate * self._direction(weight, slope))
            .detach()
            .requires_grad_()
            for (name, weight), slope in zip(weights.items(), slopes, strict=True)
        }
        return {**ahead, **self.buffers()}

    def _direction(self, weight: Tensor, slope: Tensor) -> Tensor:
        recipe = self.training.recipe
        state: dict[str, Tensor] = self.training.optimiser.state.get(weight, {})
        direction = slope + recipe.weight_decay * weight
        return direction + recipe.momentum * state["momentum_buffer"] if "momentum_buffer" in state else direction


@dataclass(frozen=True)
class ArchStep:
    """What one architecture step may use.

    Attributes:
        objective: what a good architecture scores.
        cost: what an architecture costs.
        score: the objective on this step's held-out mini-batch.
        rng: for draws.
        shared: the super net; None where a table stands for it.
        number: of the step, from 0; those that were left out count.
        steps: how many there are in the whole search, 1 or more.
    """

    objective: Objective
    cost: CostModel
    score: Score
    rng: np.random.Generator
    shared: SharedStep | None = None
    number: int = 0
    steps: int = 1
