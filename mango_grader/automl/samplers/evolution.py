"""Evolution as SPOS runs it (Guo et al. 2019, §3.4, Algorithm 1): crossover and mutation of the best seen so far."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import sqrt
from typing import Self

import numpy as np

from mango_grader.automl.architecture import Architecture
from mango_grader.automl.evaluate import Score
from mango_grader.automl.limits import Constraint, InfeasibleError
from mango_grader.automl.samplers.base import TRIES, Sampler, distinct
from mango_grader.automl.search_space import SearchSpace
from mango_grader.ranges import Count, CountOrNone, Ranged, Share


@dataclass(frozen=True)
class EvolutionSettings(Ranged):
    """The published values of SPOS (§4).

    Attributes:
        population: architectures of a generation, 1 or more.
        generations: with the first one, 1 or more.
        parents: the best of all so far that have children, 1 or more.
        crossovers: children of two parents in a generation, 0 or more.
        mutations: children of one parent in a generation, 0 or more.
        probability: with which a mutation decides a decision anew, in [0, 1].
    """

    population: Count = 50
    generations: Count = 20
    parents: Count = 10
    crossovers: CountOrNone = 25
    mutations: CountOrNone = 25
    probability: Share = 0.1

    @property
    def scores(self) -> int:
        """How many architectures are scored, at most."""
        return self.population * self.generations

    def scaled(self, effort: float) -> Self:
        """Return settings with about `effort` times as many scores: fewer generations, and smaller ones alike."""
        factor = sqrt(effort)
        return replace(
            self,
            population=max(1, round(self.population * factor)),
            generations=max(1, round(self.generations * factor)),
            parents=max(1, round(self.parents * factor)),
            crossovers=max(1, round(self.crossovers * factor)),
            mutations=max(1, round(self.mutations * factor)),
        )


class Evolution:
    """A Sampler whose proposals are all feasible and all new, children of the best that it was told.

    The first generation comes from `first`; where that gives too little, or is None, from even draws. So does, as in
    the authors' code, whatever crossover and mutation leave missing of a later generation.

    Args:
        space: to search.
        feasible: whether an architecture may be proposed.
        settings: how large generations are, and where children come from.
        first: where the first generation comes from.
    """

    def __init__(
        self,
        space: SearchSpace,
        feasible: Constraint,
        settings: EvolutionSettings,
        first: Sampler | None = None,
    ) -> None:
        self.settings = settings
        self._space, self._feasible, self._first = space, feasible, first
        self._scored: dict[Architecture, float] = {}
        self._seen: set[Architecture] = set()

    def ask(self, rng: np.random.Generator, count: int) -> list[Architecture]:
        """Return feasible architectures that were neither asked nor told before; fewer if no more are found.

        Args:
            rng: for the draws.
            count: how many to return, at most.

        Raises:
            InfeasibleError: no feasible one has ever been found.
        """
        found: list[Architecture] = []
        if self._scored:
            parents = self.best(self.settings.parents)
            found += self._new(lambda: self._crossed(parents, rng), min(count, self.settings.crossovers))
            found += self._new(lambda: self._mutated(parents, rng), min(count - len(found), self.settings.mutations))
        elif self._first is not None:
            first = self._first
            found += self._new(lambda: first.ask(rng, 1)[0], count)
        found += self._new(lambda: self._space.sample(rng), count - len(found))
        if not found and not self._scored:
            raise InfeasibleError(self._space, tried=TRIES)
        return found

    def tell(self, scored: Sequence[tuple[Architecture, float]]) -> None:
        """Remember the scores; the last one of an architecture counts."""
        self._scored.update(scored)
        self._seen.update(architecture for architecture, _ in scored)

    def best(self, count: int) -> list[Architecture]:
        """Return the `count` best of all that was told, best first; of equals, the one told first."""
        return sorted(self._scored, key=lambda found: -self._scored[found])[:count]

    def run(self, score: Score, rng: np.random.Generator) -> Architecture:
        """Ask, score and tell for all generations, and return the best.

        Args:
            score: of an architecture, higher is better.
            rng: for the draws.

        Raises:
            InfeasibleError: no feasible architecture was found.
        """
        for _ in range(self.settings.generations):
            self.tell([(found, score(found)) for found in self.ask(rng, self.settings.population)])
        return self.best(1)[0]

    def _new(self, draw: Callable[[], Architecture], count: int) -> list[Architecture]:
        def accepts(drawn: Architecture) -> bool:
            if drawn in self._seen:
                return False
            self._seen.add(drawn)  # the refused too, so that each is priced once
            return self._feasible(drawn)

        return distinct(draw, count, accepts)

    def _crossed(self, parents: Sequence[Architecture], rng: np.random.Generator) -> Architecture:
        """Take each decision from one of two parents: legal, because each decision is."""
        pair = [parents[int(index)] for index in rng.integers(len(parents), size=2)]
        sides = rng.integers(2, size=len(self._space.decisions))
        names = (decision.name for decision in self._space.decisions)
        choices = {name: pair[side].choices[name] for name, side in zip(names, sides, strict=True)}
        return Architecture(self._space.config, choices)

    def _mutated(self, parents: Sequence[Architecture], rng: np.random.Generator) -> Architecture:
        """Decide each decision anew with the probability, by an even draw."""
        parent = parents[int(rng.integers(len(parents)))]
        choices = {
            decision.name: decision.draw(rng)
            if rng.random() < self.settings.probability
            else parent.choices[decision.name]
            for decision in self._space.decisions
        }
        return Architecture(self._space.config, choices)
