"""Query methods of others, in the ask-and-tell style of our samplers."""

from collections.abc import Iterator, Sequence

import numpy as np

from mango_grader.automl.architecture import Architecture
from mango_grader.automl.search_space import SearchSpace

Scored = Sequence[tuple[Architecture, float]]


class RegularisedEvolution:
    """Real et al. 2019: a queue of 50, tournaments of 10, one decision mutated, the oldest dies."""

    def __init__(self, space: SearchSpace, population: int = 50, tournament: int = 10) -> None:
        self._space, self._population, self._tournament = space, population, tournament
        self._alive: list[tuple[Architecture, float]] = []

    def ask(self, rng: np.random.Generator, count: int) -> list[Architecture]:
        """Return children, or uniform draws until the queue is full."""
        if len(self._alive) < self._population:
            return [self._space.sample(rng) for _ in range(count)]
        return [self._child(rng) for _ in range(count)]

    def tell(self, scored: Scored) -> None:
        """Let the new ones in and the oldest out."""
        self._alive = [*self._alive, *scored][-self._population :]

    def _child(self, rng: np.random.Generator) -> Architecture:
        rivals = [self._alive[int(place)] for place in rng.choice(len(self._alive), self._tournament, replace=False)]
        options = list(neighbours(max(rivals, key=lambda rival: rival[1])[0]))
        return options[int(rng.integers(len(options)))]


class LocalSearch:
    """White et al. 2021: climb to the best neighbour until there is none, then start again."""

    def __init__(self, space: SearchSpace) -> None:
        self._space = space
        self._here: tuple[Architecture, float] | None = None
        self._around: list[Architecture] = []
        self._seen: list[tuple[Architecture, float]] = []

    def ask(self, rng: np.random.Generator, count: int) -> list[Architecture]:
        """Return the next neighbours, or a new start by itself."""
        if self._here is None:
            return [self._space.sample(rng)]
        return self._around[len(self._seen) : len(self._seen) + count]

    def tell(self, scored: Scored) -> None:
        """Go to the best neighbour once all are known."""
        if self._here is None:
            self._go(scored[0])
            return
        self._seen += scored
        if len(self._seen) == len(self._around):
            best = max(self._seen, key=lambda each: each[1])
            if best[1] > self._here[1]:
                self._go(best)
            else:
                self._here = None

    def _go(self, to: tuple[Architecture, float]) -> None:
        self._here, self._around, self._seen = to, list(neighbours(to[0])), []


def neighbours(architecture: Architecture) -> Iterator[Architecture]:
    """Yield all architectures that differ in one single-choice decision."""
    for decision in architecture.space.decisions():
        for candidate in decision.candidates:
            if (candidate,) != architecture.choices[decision.name]:
                yield Architecture(architecture.space, {**architecture.choices, decision.name: (candidate,)})
