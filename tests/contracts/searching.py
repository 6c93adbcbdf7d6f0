"""A whole search of any method in any space, on a few made-up images."""

from pathlib import Path

import numpy as np
from cases import CLASSES, METHODS

from mango_grader.automl import methods
from mango_grader.automl.architecture import SpaceConfig
from mango_grader.automl.cost import macs
from mango_grader.automl.evaluate import SharedWeights
from mango_grader.automl.limits import Limits
from mango_grader.automl.objective import Objective
from mango_grader.automl.search import Search
from mango_grader.automl.shared import SharedTraining
from mango_grader.automl.spaces import SearchSpace
from mango_grader.training.batches import Batches, Examples
from mango_grader.training.device import Device, seed_everything
from mango_grader.training.losses import AnytimeLoss

CPU = Device("cpu")


def examples(config: SpaceConfig, count: int = 48) -> tuple[Examples, Examples]:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, CLASSES, count)
    pictures = rng.integers(0, 120, (count, config.height, config.width, 3), dtype=np.uint8)
    pictures[np.arange(count), :, :, labels] += 100
    rows = np.arange(count)
    return Examples(pictures, labels, rows[: count * 2 // 3]), Examples(pictures, labels, rows[count * 2 // 3 :])


def make(method: str, config: SpaceConfig, checkpoint: Path | None = None, limits: Limits | None = None) -> Search:
    limits = limits or Limits()
    space = SearchSpace(config)
    seed_everything(3)
    searcher = methods.METHODS[method](space, lambda found: limits.feasible(space, found), METHODS[method])
    for_weights, held_out = examples(config)
    batches = Batches(for_weights, 8, seed=3)
    training = SharedTraining(space.supernet(), searcher.recipe, batches, held_out, AnytimeLoss(), CPU)
    seen = [batches[step] for step in range(searcher.recalibration)]
    evaluator = SharedWeights(space, training.net, training.held_out, Objective(), macs(space), CPU, seen)
    return Search(searcher, Objective(), macs(space), evaluator, 3, training, checkpoint, 0.0)
