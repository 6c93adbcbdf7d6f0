"""The weights of several trainings averaged into one network (a model soup, Wortsman et al. 2022)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from mango_grader.progress import Progress
from mango_grader.training.checkpoint import read_tensors, write_tensors
from mango_grader.workflow.comparison.entries import Trained
from mango_grader.workflow.config import RunConfig
from mango_grader.workflow.run.folder import RunFolder

_SETTLING = 4  # epochs: some 50 steps, after which running averages have forgotten what was before


@dataclass(frozen=True)
class Soup:
    """Trainings of several seeds, averaged.

    Some more epochs at a rate of 0 give the average the statistics of BatchNorm that fit it.

    Attributes:
        entry: what is trained.
        name: of the idea.
        seeds: of the trainings.
    """

    entry: Trained
    name: str
    seeds: tuple[int, ...] = (0, 1, 2)

    def run(self, out: Path, config: RunConfig, progress: Progress) -> RunFolder:
        """Do the trainings, or what is missing of them, and return the run of their average."""
        parts = []
        for seed in self.seeds:
            own = RunFolder(out.with_name(f"{out.name} part {seed}"))
            parts.append(self.entry.run(own.path, replace(config, seed=seed), progress).weights)
        start = RunFolder(out.with_name(f"{out.name} average"))
        start.path.mkdir(exist_ok=True)
        write_tensors(start.weights, averaged([read_tensors(part)[0] for part in parts]))
        still = replace(config.train.weights, lr=0.0, final_lr=0.0)
        last = replace(config, init_from=str(start.path), train=replace(config.train, epochs=_SETTLING, weights=still))
        return self.entry.run(out, last, progress)


def averaged(states: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Return the mean of each tensor; counters are those of the first.

    Args:
        states: of networks of one kind.
    """
    first = states[0]
    return {
        name: torch.stack([each[name] for each in states]).mean(0) if value.is_floating_point() else value
        for name, value in first.items()
    }
