"""The one search loop: it interprets a method's plan, and does all progress, history, checkpoints and resuming."""

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mango_grader.automl.architecture import Architecture
from mango_grader.automl.cost import CostModel
from mango_grader.automl.evaluate import Evaluator, Score, SharedWeights
from mango_grader.automl.methods import SearchMethod
from mango_grader.automl.objective import Objective
from mango_grader.automl.shared import SharedStep, SharedTraining
from mango_grader.automl.step import ArchStep
from mango_grader.progress import Progress
from mango_grader.training.checkpoint import load_checkpoint, save_checkpoint
from mango_grader.training.device import seed_everything

_FINISH = 2**31  # the round number that seeds `finish`, beyond any plan


@dataclass
class Search:
    """One run of one method.

    evaluator: the full held-out score. training: None where a table stands for the super net; weight steps are then
    skipped. checkpoint: a file to continue from if it exists, written every `checkpoint_every` seconds. `history` holds
    one row per round and per candidate.
    """

    method: SearchMethod
    objective: Objective
    cost: CostModel
    evaluator: Evaluator
    seed: int
    training: SharedTraining | None = None
    checkpoint: Path | None = None
    checkpoint_every: float = 10.0
    history: list[dict[str, Any]] = field(default_factory=list)

    def run(self, progress: Progress) -> Architecture:
        """Follow the plan to its end and return the result; a killed run continues to the very same one."""
        plan = self.method.plan(self.training.batches.per_epoch if self.training else 1)
        weight_steps = sum(kind == "weights" for round_ in plan for kind in round_.steps())
        counters: dict[str, int] = {"weights": 0, "architecture": 0, "refit": 0}
        start = self._restore(counters)
        saved = time.monotonic()
        with progress.task("search", len(plan), start) as task:
            for number in range(start, len(plan)):
                rng = np.random.default_rng([self.seed, number])
                seed_everything(self.seed, number)
                figures: dict[str, list[Any]] = {}
                for kind in plan[number].steps():
                    for name, value in self._step(kind, counters[kind], weight_steps, rng).items():
                        figures.setdefault(name, []).append(value)
                    counters[kind] += 1
                self.method.end_epoch(self.evaluator.score, rng)
                row = {name: float(np.mean([float(v) for v in values])) for name, values in figures.items()}
                kinds = "-".join(dict.fromkeys(phase.kind for phase in plan[number].phases))
                self.history.append({"phase": f"search-{kinds}", "round": number + 1, **row})
                task.advance(1, **row)
                if self.checkpoint and (number + 1 == len(plan) or time.monotonic() - saved > self.checkpoint_every):
                    self._save(number + 1, counters)
                    saved = time.monotonic()
        return self._finish(progress)

    def _step(self, kind: str, number: int, weight_steps: int, rng: np.random.Generator) -> dict[str, Any]:
        if kind == "weights":
            if self.training is None:
                return {}
            return {"loss": self.training.step(number, weight_steps, self.method.gates(rng))}
        if kind == "refit":
            return dict(self.method.refit(rng))
        return dict(self.method.update(self.arch_step(number, rng)))

    def arch_step(self, number: int, rng: np.random.Generator) -> ArchStep:
        """Return what the method may use in architecture step `number`."""
        shared = self.training
        if shared is None:
            return ArchStep(self.objective, self.cost, self.evaluator.score, rng)
        batch = shared.rewards[number % len(shared.rewards)]
        evaluator = SharedWeights(self.method.space, shared.net, [batch], self.objective, self.cost, shared.device)
        return ArchStep(self.objective, self.cost, evaluator.score, rng, SharedStep(shared, number))

    def _finish(self, progress: Progress) -> Architecture:
        self.history[:] = [row for row in self.history if row["phase"] != "search-candidate"]
        score = self._recorded(self.evaluator.score)
        seed_everything(self.seed, _FINISH)
        progress.note("search: picking the result")
        return self.method.finish(score, np.random.default_rng([self.seed, _FINISH]))

    def _recorded(self, score: Score) -> Score:
        def recorded(architecture: Architecture) -> float:
            value = score(architecture)
            cost = [float(price) for price in self.cost.exact(architecture)]
            self.history.append({"phase": "search-candidate", "score": value, "cost": cost})
            return value

        return recorded

    def _restore(self, counters: dict[str, int]) -> int:
        if self.checkpoint is None or not self.checkpoint.exists():
            return 0
        state = load_checkpoint(self.checkpoint, self.training.device.name if self.training else "cpu")
        if self.training is not None:
            self.training.net.load_state_dict(state["net"])
            self.training.optimiser.load_state_dict(state["optimiser"])
        self.method.load_state_dict(state["method"])
        self.history[:] = state["history"]
        counters.update(state["counters"])
        return int(state["round"])

    def _save(self, number: int, counters: dict[str, int]) -> None:
        assert self.checkpoint is not None
        state: dict[str, Any] = {
            "round": number,
            "counters": counters,
            "method": self.method.state_dict(),
            "history": self.history,
        }
        if self.training is not None:
            state |= {"net": dict(self.training.net.state_dict()), "optimiser": self.training.optimiser.state_dict()}
        save_checkpoint(self.checkpoint, state)
