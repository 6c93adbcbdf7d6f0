"""A space whose best architecture is known, and how well a method does on it within so many evaluations."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from mango_grader.automl import methods
from mango_grader.automl.architecture import Architecture
from mango_grader.automl.evaluate import SearchProblem
from mango_grader.automl.graph import Branch, Choice, SearchGraph
from mango_grader.automl.methods import (
    EnasSettings,
    MethodSettings,
    RandomSettings,
    SposSettings,
    TnasGSettings,
    TnasOsSettings,
)
from mango_grader.automl.samplers import ControllerSettings, EvolutionSettings, VaeSettings
from mango_grader.automl.search import Search
from mango_grader.automl.search_space import SearchSpace
from mango_grader.automl.spaces import Decision, SpaceConfig
from mango_grader.models.operations import Classifier, Convolution
from mango_grader.models.spec import IMAGE, Node
from mango_grader.progress import SilentProgress
from mango_grader.training.device import seed_everything

DEPTH, CANDIDATES = 8, 5
_CONTROLLER = ControllerSettings(lr=0.01, baseline_decay=0.9)
_VAE = VaeSettings(width=16, heads=2, layers=1, steps=30, batch=16)


def _evolution(evaluations: int) -> EvolutionSettings:
    return EvolutionSettings(evaluations // 10, generations=10, parents=8, crossovers=6, mutations=6)


@dataclass(frozen=True)
class PlantedSpace(SpaceConfig):
    """A chain of 8 decisions with 5 candidates each."""

    kind: ClassVar[str] = "planted"

    def decisions(self) -> tuple[Decision, ...]:
        return tuple(Decision(f"d{i}", tuple(f"c{j}" for j in range(CANDIDATES))) for i in range(DEPTH))

    def graph(self) -> SearchGraph:
        nodes: list[Node | Choice] = []
        previous, channels = IMAGE, 3
        for i in range(DEPTH):
            branches = (Branch(f"c{j}", Convolution(channels, 4, 1 + 2 * j), (previous,)) for j in range(CANDIDATES))
            nodes.append(Choice(f"n{i}", f"d{i}", tuple(branches)))
            previous, channels = f"n{i}", 4
        nodes.append(Node("exit", Classifier(4, self.classes), (previous,)))
        return SearchGraph((3, self.height, self.width), tuple(nodes), ("exit",))


@dataclass
class Planted:
    """Scores the share of decisions that match the planted ones, and counts how often it is asked."""

    optimum: Architecture
    asked: int = 0
    best: float = 0.0

    def score(self, architecture: Architecture) -> float:
        self.asked += 1
        value = float(np.mean([architecture.choices[d] == c for d, c in self.optimum.choices.items()]))
        self.best = max(self.best, value)
        return value


# One line per method that learns from scores: settings that spend so many evaluations in all.
SCORED: Mapping[str, Callable[[int], MethodSettings]] = {
    "enas": lambda evaluations: EnasSettings(
        steps=(evaluations - 20) // 4, paths=4, samples=20, controller=_CONTROLLER
    ),
    "random": lambda evaluations: RandomSettings(samples=evaluations),
    "spos": lambda evaluations: SposSettings(evolution=_evolution(evaluations)),
    "tnas-os": lambda evaluations: TnasOsSettings(
        epochs=4, samples=evaluations // 8, epsilon_step=0.3, vae=_VAE, evolution=_evolution(evaluations // 2)
    ),
    "tnas-g": lambda evaluations: TnasGSettings(epochs=5, samples=evaluations // 6, vae=_VAE),
}


def best_found(method: str, space: SearchSpace, seed: int, evaluations: int) -> float:
    """Return the best score among all that the method asked for."""
    seed_everything(seed)
    planted = Planted(space.sample(np.random.default_rng([seed, 99])))
    searcher = methods.METHODS[method](space, lambda _: True, SCORED[method](evaluations))
    Search(searcher, SearchProblem(space), planted, seed).run(SilentProgress())
    assert planted.asked <= evaluations
    return planted.best


__all__ = ["SCORED", "PlantedSpace", "best_found"]
