"""Strict fairness (Chu et al. 2021, FairNAS, §3): paths that train every candidate of a decision equally often."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mango_grader.automl.architecture import Architecture
from mango_grader.automl.search_space import SearchSpace


class FairPaths:
    """Draws paths so that, round by round, each candidate of each decision is trained once.

    A round of a decision for one of n is n steps, in which its candidates come in random order. Of a decision for k of
    n the k that were trained least come next, at most one per group, so that no two are ever more than two steps apart.
    In a free subset each candidate keeps to the share p of steps that an even draw gives it, to within one step; at a
    half, each step but the first of a round opens just what the one before it did not.

    Our reading: FairNAS opens all n paths of a round on one batch and updates the weights once. Here each path has a
    batch and an update of its own, as all other paths have. FairNAS knows one of n only, with the same n everywhere.

    Args:
        space: to draw from.

    Attributes:
        trained: how many steps have trained each candidate, (candidates,) by decision.
        steps: how many paths were drawn.
    """

    def __init__(self, space: SearchSpace) -> None:
        self._space = space
        self.trained: dict[str, NDArray[np.int64]] = {
            decision.name: np.zeros(len(decision.candidates), dtype=np.int64) for decision in space.decisions
        }
        self.steps = 0

    def draw(self, rng: np.random.Generator, live: Mapping[str, NDArray[np.bool_]] | None = None) -> Architecture:
        """Draw the next path, and count it.

        Args:
            rng: for the order within a round.
            live: by decision, (candidates,), those that may be chosen; None for all.
        """
        due = {}
        for decision in self._space.decisions:
            counts = self.trained[decision.name]
            # Above 0 in a free subset: the candidate is behind its share of the steps, this one among them.
            behind = (self.steps + 1) * decision.probability - counts - rng.random(len(counts))
            due[decision.name] = behind if live is None else np.where(live[decision.name], behind, -np.inf)
        path = self._space.nearest(due)
        self.count(path)
        return path

    def count(self, path: Architecture) -> None:
        """Count a path as trained."""
        self.steps += 1
        for decision in self._space.decisions:
            for name in path.choices[decision.name]:
                self.trained[decision.name][decision.candidates.index(name)] += 1

    def state_dict(self) -> dict[str, Any]:
        """Return what was counted."""
        return {
            "trained": {name: torch.from_numpy(counts) for name, counts in self.trained.items()},
            "steps": self.steps,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over what `state_dict` returned."""
        self.trained = {name: counts.cpu().numpy().copy() for name, counts in state["trained"].items()}
        self.steps = state["steps"]
