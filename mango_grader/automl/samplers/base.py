"""What every sampler offers, in the ask-and-tell style, and uniform sampling under the user's limits."""

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

from mango_grader.automl.architecture import Architecture
from mango_grader.automl.limits import Constraint, InfeasibleError
from mango_grader.automl.search_space import SearchSpace


class Sampler(Protocol):
    """Proposes architectures and may learn from their scores.

    All randomness comes from the generator that `ask` is given, so that a resumed search repeats its draws.
    """

    def ask(self, rng: np.random.Generator, count: int) -> list[Architecture]:
        """Return proposals.

        Args:
            rng: for the draws.
            count: how many.
        """

    def tell(self, scored: Sequence[tuple[Architecture, float]]) -> None:
        """Learn from architectures and their scores (higher is better)."""


TRIES = 1000
"""How many draws in a row may be refused before a sampler gives up."""


def distinct(
    draw: Callable[[], Architecture], count: int, accepts: Callable[[Architecture], bool], tries: int = TRIES
) -> list[Architecture]:
    """Return different draws that are accepted; fewer than asked for if many draws in a row bring nothing more.

    Args:
        draw: makes one draw.
        count: how many to return, at most.
        accepts: whether a draw is to be returned; it is not asked about one that was drawn before.
        tries: how many draws in a row may bring nothing.
    """
    found: dict[Architecture, None] = {}
    refused = 0
    while len(found) < count and refused < tries:
        architecture = draw()
        if architecture not in found and accepts(architecture):
            found[architecture] = None
            refused = 0
        else:
            refused += 1
    return list(found)


class UniformSampler:
    """Draws as `SearchSpace.sample` does, and rejects what is not feasible.

    Args:
        space: to draw from.
        feasible: whether a draw may be returned.
    """

    def __init__(self, space: SearchSpace, feasible: Constraint) -> None:
        self._space, self._feasible = space, feasible

    def ask(self, rng: np.random.Generator, count: int) -> list[Architecture]:
        """Return `count` draws; raises InfeasibleError after 1,000 refusals in a row."""
        return [self._draw(rng) for _ in range(count)]

    def tell(self, scored: Sequence[tuple[Architecture, float]]) -> None:
        """Learn nothing."""

    def _draw(self, rng: np.random.Generator) -> Architecture:
        for _ in range(TRIES):
            architecture = self._space.sample(rng)
            if self._feasible(architecture):
                return architecture
        raise InfeasibleError(self._space, tried=TRIES)
