"""ENAS as MNet uses it (Chen & Fuh, MNet, §3; Pham et al. 2018): shared weights first, then a learned controller."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar, Literal

import numpy as np

from mango_grader.automl.architecture import Architecture
from mango_grader.automl.evaluate import Score
from mango_grader.automl.limits import Constraint, InfeasibleError
from mango_grader.automl.methods.base import MethodSettings, Phase, Round, SearchMethod, weight_epochs
from mango_grader.automl.movement import adam_gap, most_decided
from mango_grader.automl.samplers import Controller, ControllerSettings, UniformSampler
from mango_grader.automl.search_space import SearchSpace
from mango_grader.automl.shared import ArchStep
from mango_grader.automl.supernet import Gates, gates_of
from mango_grader.ranges import BelowOne, Count
from mango_grader.training.recipe import WeightRecipe

_STEPS_PER_ROUND = 10
_LARGEST_STATE = 0.1  # of an LSTM unit at first: many times what it is


@dataclass(frozen=True)
class EnasSettings(MethodSettings):
    """The published values of MNet (Table 1 and §3.2).

    Attributes:
        schedule: "two_phases" as in MNet, or "alternating" as in ENAS (Pham et al. 2018, §2.2): after each epoch of
            weights, whose paths the controller draws, its share of controller steps.
        epochs: of the super net, one path per batch, 1 or more.
        steps: of the controller, in all, 1 or more.
        paths: M, architectures per controller step, 1 or more.
        held_out: share of the training part, in [0, 1), that gives rewards (§4: the weights learn on 80 %).
        samples: drawn from the trained controller, 1 or more.
        result: which of them wins; the text names three: "held_out", the best full held-out score (§4), "minibatch",
            the best reward on one held-out mini-batch each (§3.1), or "most_probable", the trained controller's own
            favourite (§3.2).
        weights: how the shared weights learn.
        controller: of the controller.
        fair: whether the even paths of phase 1 train the candidates of a decision equally often by turns (FairNAS);
            not where the schedule is "alternating", whose paths the controller draws.

    Raises:
        RangeError: a value is out of range.
        ValueError: `fair` and an alternating schedule.
    """

    lengths: ClassVar[tuple[str, ...]] = ("epochs", "steps", "samples")
    schedule: Literal["two_phases", "alternating"] = "two_phases"
    epochs: Count = 100
    steps: Count = 5000
    paths: Count = 1
    held_out: BelowOne = 0.2
    samples: Count = 50
    result: Literal["held_out", "minibatch", "most_probable"] = "held_out"
    weights: WeightRecipe = WeightRecipe(optimiser="sgd", lr=0.01, final_lr=0.01, momentum=0.9, weight_decay=5e-4)
    controller: ControllerSettings = ControllerSettings()
    fair: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.fair and self.schedule == "alternating":
            raise ValueError("fair paths need schedule=two_phases: the controller draws those of schedule=alternating")

    def ignored(self) -> Mapping[str, str]:
        """Return what is for a result that is chosen otherwise."""
        chosen = f"result={self.result} needs no samples; choose another result"
        return {"samples": chosen} if self.result == "most_probable" else {}

    @property
    def scores(self) -> int:
        """One for each sample of the end that has a full score."""
        return self.samples if self.result == "held_out" else 0


class Enas(SearchMethod):
    """Phase 1 trains the super net, phase 2 the controller by REINFORCE on held-out rewards, phase 3 picks.

    An architecture beyond the limits has reward 0 and is not run: the controller learns the limits like anything else.
    """

    name: ClassVar[str] = "enas"
    default_space: ClassVar[str] = "layerwise"
    settings_type = EnasSettings
    settings: EnasSettings
    paper: ClassVar[str] = "Chen & Fuh, MNet: fruit lesion classification ConvNet design via ENAS"

    def __init__(self, space: SearchSpace, feasible: Constraint, settings: EnasSettings | None = None) -> None:
        super().__init__(space, feasible, settings)
        self.controller = Controller(space, self.settings.controller)
        self._minibatch_best: tuple[float, Architecture] | None = None  # of the trained controller's samples

    def schedule(self, steps_per_epoch: int) -> Sequence[Round]:
        """All weight epochs, then all controller steps (in rounds of 10); or both alternating, epoch by epoch.

        Where mini-batches decide, steps follow in which the trained controller's samples are rewarded (§3.1).
        """
        samples = self.settings.samples if self.settings.result == "minibatch" else 0
        derive = [Round((Phase("architecture", samples),))] if samples else []
        if self.settings.schedule == "alternating":
            ends = [self.settings.steps * n // self.settings.epochs for n in range(self.settings.epochs + 1)]
            weigh = Phase("weights", steps_per_epoch)
            return [*(Round((weigh, Phase("architecture", b - a))) for a, b in pairwise(ends)), *derive]
        whole, rest = divmod(self.settings.steps, _STEPS_PER_ROUND)
        counts = [_STEPS_PER_ROUND] * whole + ([rest] if rest else [])
        controller = (Round((Phase("architecture", count),)) for count in counts)
        return (*weight_epochs(self.settings.epochs, steps_per_epoch), *controller, *derive)

    def propose(self, rng: np.random.Generator, count: int) -> list[Architecture]:
        """Return `count` draws from the controller."""
        return self.controller.ask(rng, count)

    def gates(self, rng: np.random.Generator) -> Gates:
        """Open one path: an even one (§3.2, stage 1), or one drawn from the controller where the two alternate."""
        if self.settings.schedule == "alternating":
            return super().gates(rng)
        return gates_of(self.even_path(rng), self.space.decisions)

    def update(self, step: ArchStep) -> Mapping[str, float]:
        """Draw M paths from π, reward each with its mini-batch score, and take a policy-gradient step (Eq. 6 ff.).

        Once trained, the controller draws one path, which is rewarded and kept if it is the best so far (§3.1).
        """
        if step.number >= self.settings.steps:
            return self._derive(step)
        drawn = self.controller.ask(step.rng, self.settings.paths)
        return self.controller.learn([(path, step.score(path) if self.feasible(path) else 0.0) for path in drawn])

    def _derive(self, step: ArchStep) -> Mapping[str, float]:
        (path,) = self.controller.ask(step.rng, 1)
        if not self.feasible(path):
            return {}
        reward = step.score(path)
        if self._minibatch_best is None or reward > self._minibatch_best[0]:
            self._minibatch_best = (reward, path)
        return {"reward": reward}

    def reach(self, steps: int) -> float:
        """Return what the largest gap of logits decides that the controller's bias and weights make together."""
        controller = self.settings.controller
        fed = 1 + _LARGEST_STATE * controller.hidden
        return most_decided(self.space.decisions, fed * adam_gap(controller.lr, steps))

    def finish(self, score: Score, rng: np.random.Generator) -> Architecture:
        """Return the winner under `settings.result`, always a feasible one.

        Where the controller proposes nothing feasible, feasible uniform draws take its place.

        Raises:
            InfeasibleError: nothing feasible was found.
        """
        if self.settings.result == "minibatch" and self._minibatch_best is not None:
            return self._minibatch_best[1]
        favourite = self.controller.most_probable()
        if self.settings.result == "most_probable":
            if not self.feasible(favourite):
                raise InfeasibleError(self.space, tried=1)
            return favourite
        drawn = [favourite, *self.controller.ask(rng, self.settings.samples - 1)]
        feasible = [path for path in dict.fromkeys(drawn) if self.feasible(path)]
        return max(feasible or UniformSampler(self.space, self.feasible).ask(rng, self.settings.samples), key=score)

    def state_dict(self) -> dict[str, Any]:
        """Return the controller and the best mini-batch reward of its samples so far."""
        best = self._minibatch_best
        return {
            **super().state_dict(),
            "controller": self.controller.state_dict(),
            "best": None if best is None else (best[0], self.space.encode(best[1])),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over what `state_dict` returned."""
        super().load_state_dict(state)
        self.controller.load_state_dict(state["controller"])
        best = state["best"]
        self._minibatch_best = None if best is None else (best[0], self.space.decode(tuple(best[1])))
