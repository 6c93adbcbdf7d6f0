"""How good an architecture is: read off shared weights, off a table, or found by training it."""

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from mango_grader.automl.architecture import Architecture
from mango_grader.automl.cost import CostModel, macs
from mango_grader.automl.limits import Constraint, unconstrained
from mango_grader.automl.objective import Objective, Predictions
from mango_grader.automl.sandwich import extremes
from mango_grader.automl.search_space import SearchSpace
from mango_grader.automl.supernet import Supernet, gates_of
from mango_grader.models import FromBytes, build_network
from mango_grader.progress import SilentProgress
from mango_grader.training.batch_norm import batch_statistics, recalibrated_statistics
from mango_grader.training.batches import Batch, Batches, Examples
from mango_grader.training.device import Device, seed_everything
from mango_grader.training.divergence import DivergedError, all_finite
from mango_grader.training.loop import Trainer, predict
from mango_grader.training.recipe import TrainRecipe

Score = Callable[[Architecture], float]


@dataclass(frozen=True)
class SearchProblem:
    """What a search looks for.

    Attributes:
        space: the architectures to choose from.
        objective: what a good architecture scores.
        prices: what an architecture costs; None counts multiply-accumulates.
        feasible: whether an architecture may be the result.
    """

    space: SearchSpace
    objective: Objective = Objective()
    prices: CostModel | None = None
    feasible: Constraint = unconstrained

    @cached_property
    def cost(self) -> CostModel:
        """What an architecture costs."""
        return self.prices or macs(self.space)

    @cached_property
    def horizon(self) -> float:
        """The largest budget that an area under the curve counts: the cost of the largest network, 0 for no area."""
        return float(self.cost.exact(extremes(self.space)[1])[-1]) if self.objective.over == "area" else 0.0

    def score(self, architecture: Architecture, predicted: Sequence[Predictions], labels: Predictions) -> float:
        """Return the objective of an architecture's answers; higher is better.

        Args:
            architecture: whose costs count.
            predicted: of each exit, the predicted classes (N,).
            labels: the true classes (N,).
        """
        costs = [float(value) for value in self.cost.exact(architecture)]
        return self.objective.score(predicted, labels, costs, self.space.config.classes, self.horizon)


class Evaluator(Protocol):
    """Scores architectures; higher is better."""

    def score(self, architecture: Architecture) -> float:
        """Return the objective's value, NaN where the answers are not finite numbers."""


@dataclass(frozen=True)
class SharedWeights:
    """Scores by the super net's weights on given batches; every parameter and buffer stays bit-identical.

    BatchNorm normalises by each batch's own statistics or, where there are recalibration batches, by what those give
    for the very architecture.

    Attributes:
        problem: the space, and what a good architecture scores.
        net: the super net.
        batches: held-out batches; their score is that of all of them together.
        device: where the super net is.
        recalibration: batches of training images for BatchNorm's statistics; none takes each batch's own.
    """

    problem: SearchProblem
    net: Supernet
    batches: Sequence[Batch]
    device: Device
    recalibration: Sequence[Batch] = ()

    def score(self, architecture: Architecture) -> float:
        """Return the objective over all batches together, NaN where an answer is not a finite number."""
        logits = self.logits(architecture)
        if not all_finite([logits]):
            return math.nan
        predicted = [exit_logits.argmax(1).numpy() for exit_logits in logits]
        return self.problem.score(architecture, predicted, self.labels)

    def logits(self, architecture: Architecture) -> list[Tensor]:
        """Return the logits of each exit for all batches together, (N, classes), on the host."""
        gates, from_bytes = gates_of(architecture, self.problem.space.decisions), self.device.place(FromBytes())

        def run(batch: Batch) -> list[Tensor]:
            logits: list[Tensor] = self.net(from_bytes(self.device.send(batch.images)), gates)
            return logits

        with torch.inference_mode(), self.device.autocast(), self._statistics(run):
            parts = [run(batch) for batch in self.batches]
            return [torch.cat(exit_parts).cpu() for exit_parts in zip(*parts, strict=True)]

    @property
    def labels(self) -> Predictions:
        """The true classes of all batches together, (N,)."""
        return np.concatenate([batch.labels.numpy() for batch in self.batches])

    def _statistics(self, run: Callable[[Batch], list[Tensor]]) -> AbstractContextManager[None]:
        if not self.recalibration:
            return batch_statistics(self.net)

        def run_all() -> None:
            for batch in self.recalibration:
                run(batch)

        return recalibrated_statistics(self.net, run_all)


@dataclass(frozen=True)
class FromScratch:
    """Scores by training the plain network: slow, and what scores by shared weights are measured against.

    Attributes:
        problem: the space, and what a good architecture scores.
        recipe: how the network is trained.
        batches: training mini-batches.
        held_out: examples to score on.
        device: where it is trained.
        seed: of the network and its training; each architecture starts from it.
    """

    problem: SearchProblem
    recipe: TrainRecipe
    batches: Batches
    held_out: Examples
    device: Device
    seed: int

    def score(self, architecture: Architecture) -> float:
        """Return the objective on the held-out examples after the last epoch; NaN where the training diverges."""
        seed_everything(self.seed)
        net = build_network(self.problem.space.derive(architecture))
        try:
            Trainer(net, self.recipe, self.batches, self.held_out, self.device, self.seed).run(SilentProgress())
        except DivergedError:
            return math.nan
        predicted = list(predict(net, self.held_out, self.device).argmax(-1))
        return self.problem.score(architecture, predicted, self.held_out.targets)


@dataclass(frozen=True)
class Tabular:
    """Scores by looking up a finished benchmark's table, such as NAS-Bench-201's.

    Attributes:
        table: an architecture's score.
    """

    table: Mapping[Architecture, float]

    def score(self, architecture: Architecture) -> float:
        """Return the table's entry; raises KeyError where it has none."""
        return self.table[architecture]
