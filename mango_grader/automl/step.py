"""What one architecture step may use: the loop hands it to methods."""

from dataclasses import dataclass

import numpy as np

from mango_grader.automl.cost import CostModel
from mango_grader.automl.evaluate import Score
from mango_grader.automl.objective import Objective
from mango_grader.automl.shared import SharedStep


@dataclass(frozen=True)
class ArchStep:
    """What one architecture step may use.

    score: the objective on this step's held-out mini-batch. shared: the super net; None where a table stands for it.
    """

    objective: Objective
    cost: CostModel
    score: Score
    rng: np.random.Generator
    shared: SharedStep | None = None
