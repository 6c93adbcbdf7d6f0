"""How a search is built, and the one loop that runs it.

The loop interprets a method's schedule; it does all progress, history, checkpoints and resuming.
"""

import math
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mango_grader.automl.architecture import Architecture
from mango_grader.automl.evaluate import Evaluator, SearchProblem, SharedWeights
from mango_grader.automl.figures import RoundFigures
from mango_grader.automl.methods import METHODS, MethodSettings, Round, SearchMethod
from mango_grader.automl.movement import Movement
from mango_grader.automl.picking import pick_of
from mango_grader.automl.sandwich import Sandwich
from mango_grader.automl.shared import ArchStep, SearchData, SharedStep, SharedTraining
from mango_grader.automl.surrogate import surrogate_loss
from mango_grader.automl.timetable import Timetable
from mango_grader.progress import Progress, SilentProgress, Task
from mango_grader.training.checkpoint import load_checkpoint, save_checkpoint
from mango_grader.training.device import seed_everything
from mango_grader.training.divergence import DivergedError, lower_rate_hint

_TRIES = 20  # draws of the method for each network of a short list
_FINISH = 2**31  # the round number that seeds `finish`, beyond any schedule


@dataclass
class Search:
    """One run of one method.

    Attributes:
        method: how it searches.
        problem: what it looks for.
        evaluator: gives the full held-out score of an architecture.
        seed: of all draws, 0 or more.
        training: the super net and what it learns from; None where a table stands for it, and weight steps are skipped.
        checkpoint: a file to continue from if it exists; None writes none.
        checkpoint_every: seconds from one checkpoint to the next.
        timetable: what is left to do, and by when; None takes all rounds.
        history: one row per round and per candidate.
        scored: what was scored at the end, is finite and feasible, with its score.
    """

    method: SearchMethod
    problem: SearchProblem
    evaluator: Evaluator
    seed: int
    training: SharedTraining | None = None
    checkpoint: Path | None = None
    checkpoint_every: float = 10.0
    timetable: Timetable | None = None
    history: list[dict[str, Any]] = field(default_factory=list)
    scored: dict[Architecture, float] = field(default_factory=dict)
    _scored: int = 0

    def run(self, progress: Progress) -> Architecture:
        """Follow the schedule to its end and return the result; a killed run continues to the very same one.

        Under a deadline, rounds that there is no time for are left out as if they had been taken: learning rates and
        batches go on where the schedule has them. The result is then picked from what can be scored in time.
        """
        schedule, weight_steps = self._schedule, self._steps["weights"]
        counters: dict[str, int] = {"weights": 0, "architecture": 0, "refit": 0}
        start = self._restore(counters)
        saved = time.monotonic()
        with progress.task("search", len(schedule), start) as task:
            for number in range(start, len(schedule)):
                row: dict[str, float] = {}
                if self.timetable is None or self.timetable.allows(number):
                    row = self._round(number, schedule[number], counters, weight_steps)
                else:
                    for kind in schedule[number].steps():
                        counters[kind] += 1
                task.advance(1, left=self.timetable.left(number + 1) if self.timetable else None, **row)
                if self.checkpoint and (
                    number + 1 == len(schedule) or time.monotonic() - saved > self.checkpoint_every
                ):
                    self._save(number + 1, counters)
                    saved = time.monotonic()
        return self._finish(progress)

    @cached_property
    def _schedule(self) -> Sequence[Round]:
        return self.method.schedule(self.training.batches.per_epoch if self.training else 1)

    @cached_property
    def _steps(self) -> Counter[str]:
        """How many steps of each kind there are in all."""
        return Counter(kind for round_ in self._schedule for kind in round_.steps())

    def others(self, found: Architecture, count: int) -> list[Architecture]:
        """Return what comes next to the result: the best of the others that were scored, then draws of the method.

        Args:
            found: the result.
            count: how many to return, at most; all are feasible, and none derives the same network as another.
        """
        space, networks = self.problem.space, {self.problem.space.final.derive(found)}
        rng, others = np.random.default_rng([self.seed, _FINISH, 1]), list[Architecture]()
        ranked = sorted(self.scored, key=lambda each: -self.scored[each])
        draws = (self.method.propose(rng, 1)[0] for _ in range(_TRIES * count))
        for other in chain(ranked, draws):
            if len(others) == count:
                break
            network = space.final.derive(other)
            if network not in networks and self.method.feasible(other):
                networks.add(network)
                others.append(other)
        return others

    def _round(self, number: int, round_: Round, counters: dict[str, int], weight_steps: int) -> dict[str, float]:
        """Take a round and return its mean figures."""
        timetable, scored = self.timetable, self._scored
        began = timetable.watch.seconds if timetable else 0.0
        rng = np.random.default_rng([self.seed, number])
        seed_everything(self.seed, number)
        at_once = self.training is None or not self.training.device.is_gpu
        figures = RoundFigures(self.method, f"search round {number + 1}", at_once)
        for kind in round_.steps():
            with figures.step(kind):
                figures.add(kind, self._step(kind, counters[kind], weight_steps, rng))
            counters[kind] += 1
        row = figures.means()
        if self.training is not None and any(phase.kind == "weights" for phase in round_.phases):
            figures.require_weights(self.training.net.state_dict())
        self.method.end_epoch(self._counted, rng)
        self.history.append({"phase": f"search-{round_.kinds}", "round": number + 1, **row})
        if timetable is not None:
            timetable.took(number, timetable.watch.seconds - began, self._scored - scored)
        return row

    def _counted(self, architecture: Architecture) -> float:
        self._scored += 1
        return self._usable(self.evaluator.score(architecture))

    def _usable(self, score: float) -> float:
        """Return the score, or the worst there is for answers that are not finite numbers: they never win."""
        return score if math.isfinite(score) else self.problem.objective.worst

    def _step(self, kind: str, number: int, weight_steps: int, rng: np.random.Generator) -> dict[str, Any]:
        if kind == "weights":
            if self.training is None:
                return {}
            return {"loss": self.weight_step(number, weight_steps, rng)}
        if kind == "refit":
            return dict(self.method.refit(rng))
        return dict(self.method.update(self.arch_step(number, rng)))

    def weight_step(self, number: int, steps: int, rng: np.random.Generator) -> Tensor:
        """Let the shared weights learn from a mini-batch under what the method opens; return the detached loss.

        Args:
            number: of the step, from 0.
            steps: how many there are in all, for the learning rate.
            rng: for the method's draws.
        """
        training = self.training
        assert training is not None
        return training.step(number, steps, *(self.method.gates(rng) for _ in range(training.paths)))

    def arch_step(self, number: int, rng: np.random.Generator) -> ArchStep:
        """Return what the method may use in an architecture step.

        Args:
            number: of the step, from 0.
            rng: for the draws of the step.
        """
        shared, problem = self.training, self.problem
        evaluator, step = self.evaluator, None
        if shared is not None:
            batch = shared.rewards[number % len(shared.rewards)]
            evaluator, step = SharedWeights(problem, shared.net, [batch], shared.device), SharedStep(shared, number)
        steps = max(self._steps["architecture"], number + 1)
        return ArchStep(
            problem.objective,
            problem.cost,
            lambda found: self._usable(evaluator.score(found)),
            rng,
            step,
            number,
            steps,
        )

    def _finish(self, progress: Progress) -> Architecture:
        self.history[:] = [row for row in self.history if row["phase"] != "search-candidate"]
        seed_everything(self.seed, _FINISH)
        progress.note("search: picking the result")
        count = self.timetable.final_scores if self.timetable else 0
        with (progress if count else SilentProgress()).task("scores", count) as task:
            final = _FinalScores(self, task)
            self.scored = final.feasible
            try:
                with RoundFigures(self.method, "search, picking the result").step("refit"):
                    found = self.method.finish(final, np.random.default_rng([self.seed, _FINISH]))
            except _TimeIsUpError:
                assert final.best is not None
                return final.best[1]
            final.require_one()
            return found

    def movement(self) -> Movement:
        """Return what the search has changed since its first step; to be asked after `run`."""
        method, evaluator = self.method, self.evaluator
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            fresh = type(method)(method.space, method.feasible, method.settings)
        pick = pick_of(self.scored, evaluator, self.seed) if isinstance(evaluator, SharedWeights) else None
        return replace(method.movement(fresh.preference()), pick=pick)

    def _restore(self, counters: dict[str, int]) -> int:
        if self.checkpoint is None or not self.checkpoint.exists():
            return 0
        state = load_checkpoint(self.checkpoint, self.training.device.name if self.training else "cpu")
        if self.training is not None:
            self.training.net.load_state_dict(state["net"])
            self.training.optimiser.load_state_dict(state["optimiser"])
        self.method.load_state_dict(state["method"])
        if self.timetable is not None and state.get("timetable") is not None:
            self.timetable.load_state_dict(state["timetable"])
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
            "timetable": self.timetable and self.timetable.state_dict(),
        }
        if self.training is not None:
            state |= {"net": dict(self.training.net.state_dict()), "optimiser": self.training.optimiser.state_dict()}
        save_checkpoint(self.checkpoint, state)


def build_search(
    method: str | type[SearchMethod],
    settings: MethodSettings | None,
    problem: SearchProblem,
    data: SearchData,
    seed: int,
) -> Search:
    """Return a search with a freshly initialised super net; all that is random in it follows from `seed`.

    Args:
        method: name among `METHODS`, or a class of your own.
        settings: of the method; None takes the published ones.
        problem: what the search looks for.
        data: what it learns from. `settings.held_out` says which share of the training part is to be held out.
        seed: of the super net, the method and all draws; 0 or more.

    Returns:
        The search, ready to run; set its `checkpoint` and `timetable` where it is to be resumed or to meet a deadline.

    Raises:
        KeyError: no method has that name.

    Example:
        ```python
        import numpy as np
        from mango_grader.automl import SearchData, SearchProblem, SearchSpace, build_search
        from mango_grader.automl.methods import RandomSettings
        from mango_grader.automl.spaces import LayerwiseConfig
        from mango_grader.progress import SilentProgress
        from mango_grader.training.batches import Batches, Examples

        rng = np.random.default_rng(0)
        labels = rng.integers(0, 2, 24)  # of two classes
        images = rng.integers(0, 255, (24, 16, 16, 3), np.uint8)
        learned, held_out = (Examples(images, labels, rows) for rows in np.split(np.arange(24), [16]))

        config = LayerwiseConfig(height=16, width=16, classes=2, depth=2, channels=8, kernels=(3, 5), exits=(1, 2))
        problem = SearchProblem(SearchSpace(config))
        data = SearchData(Batches(learned, batch_size=8, seed=0), held_out)
        search = build_search("random", RandomSettings(epochs=1, samples=2), problem, data, seed=0)
        architecture = search.run(SilentProgress())
        network = problem.space.derive(architecture)
        ```
    """
    seed_everything(seed)
    kind = METHODS[method] if isinstance(method, str) else method
    searcher = kind(problem.space, problem.feasible, settings)
    sandwich = Sandwich.of(problem.space, data.sandwich)
    surrogate = surrogate_loss(problem, data.held_out.targets, data.loss.label_smoothing)
    training = SharedTraining(problem.space, searcher.settings.weights, data, sandwich, surrogate)
    recalibration = [data.batches[step] for step in range(searcher.settings.recalibration)]
    evaluator = SharedWeights(problem, training.net, training.held_out, data.device, recalibration)
    return Search(searcher, problem, evaluator, seed, training)


class _TimeIsUpError(Exception):
    """The deadline has passed, and there is something to choose from."""


class _FinalScores:
    """Scores what a method asks for at its end and records it; after the deadline it raises instead.

    best: the score and the architecture that is to be the result then. feasible: all that may be it, with their scores.
    """

    def __init__(self, search: Search, task: Task) -> None:
        self._search, self._task = search, task
        self.best: tuple[float, Architecture] | None = None
        self.feasible: dict[Architecture, float] = {}
        self._asked = self._finite = 0

    def __call__(self, architecture: Architecture) -> float:
        """Return the full held-out score."""
        search = self._search
        if self.best is not None and search.timetable is not None and search.timetable.over:
            raise _TimeIsUpError
        value = search.evaluator.score(architecture)
        cost = [float(price) for price in search.problem.cost.exact(architecture)]
        self._task.advance()
        self._asked += 1
        if not math.isfinite(value):
            reason = "its answers are not finite numbers"
            search.history.append({"phase": "search-candidate", "score": None, "reason": reason, "cost": cost})
            return -math.inf
        self._finite += 1
        search.history.append({"phase": "search-candidate", "score": value, "cost": cost})
        if search.method.feasible(architecture):
            self.feasible[architecture] = value
            if self.best is None or value > self.best[0]:
                self.best = value, architecture
        return value

    def require_one(self) -> None:
        """Raise DivergedError if candidates were scored, and the answers of none were finite numbers."""
        if self._asked and not self._finite:
            advice = lower_rate_hint("method.weights", self._search.method.settings.weights)
            raise DivergedError(f"search: the answers of all {self._asked} candidates are not finite numbers; {advice}")
