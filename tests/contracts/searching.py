"""A whole search of any method in any space, on a few made-up images."""

from pathlib import Path

import numpy as np
from cases import CLASSES, METHODS

from mango_grader.automl.evaluate import SearchProblem
from mango_grader.automl.limits import Limits
from mango_grader.automl.sandwich import SandwichRule
from mango_grader.automl.search import Search, build_search
from mango_grader.automl.search_space import SearchSpace
from mango_grader.automl.shared import SearchData
from mango_grader.automl.spaces import SpaceConfig
from mango_grader.training.batches import Batches, Examples
from mango_grader.training.device import Device

CPU = Device("cpu")
ONE_PATH_A_STEP = SandwichRule()


def examples(config: SpaceConfig, count: int = 48) -> tuple[Examples, Examples]:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, CLASSES, count)
    images = rng.integers(0, 120, (count, config.height, config.width, 3), dtype=np.uint8)
    images[np.arange(count), :, :, labels] += 100
    rows = np.arange(count)
    return Examples(images, labels, rows[: count * 2 // 3]), Examples(images, labels, rows[count * 2 // 3 :])


def make(
    method: str,
    config: SpaceConfig,
    checkpoint: Path | None = None,
    limits: Limits | None = None,
    sandwich: SandwichRule = ONE_PATH_A_STEP,
) -> Search:
    limits = limits or Limits()
    space = SearchSpace(config)
    for_weights, held_out = examples(config)
    problem = SearchProblem(space, feasible=lambda found: limits.feasible(space, found))
    data = SearchData(Batches(for_weights, 8, seed=3), held_out, sandwich=sandwich)
    search = build_search(method, METHODS[method], problem, data, seed=3)
    search.checkpoint, search.checkpoint_every = checkpoint, 0.0
    return search
