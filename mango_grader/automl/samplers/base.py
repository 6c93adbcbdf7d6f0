"""Sampler: where candidate architectures come from, in the ask-and-tell style."""

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

from mango_grader.automl.architecture import Architecture
from mango_grader.automl.spaces import SearchSpace
from mango_grader.errors import MangoError

Constraint = Callable[[Architecture], bool]
"""Whether an architecture obeys the user's limits."""


def unconstrained(architecture: Architecture) -> bool:
    """Accept every architecture: the constraint of a search without limits."""
    return True


class Sampler(Protocol):
    """Proposes architectures and may learn from their scores."""

    def ask(self, rng: np.random.Generator, count: int) -> list[Architecture]:
        """Return `count` proposals."""

    def tell(self, scored: Sequence[tuple[Architecture, float]]) -> None:
        """Learn from architectures and their scores (higher is better)."""


class InfeasibleError(MangoError):
    """No architecture within the user's limits was found."""

    def __init__(self, space: SearchSpace, tried: int, limits: object = "the limits") -> None:
        super().__init__(
            f"none of {tried} architectures of the space {space.config.kind!r} obeys {limits}; raise what is limited, "
            "or search a smaller space (for example --set space.depth=8)"
        )
        self._space, self._tried = space, tried

    def under(self, limits: object) -> "InfeasibleError":
        """Return the same error, with `limits` by name."""
        return InfeasibleError(self._space, self._tried, limits)


TRIES = 1000
"""How many draws in a row may be refused before a sampler gives up."""


def distinct(
    draw: Callable[[], Architecture], count: int, accepts: Callable[[Architecture], bool], tries: int = TRIES
) -> list[Architecture]:
    """Return `count` different draws that `accepts` takes; fewer if `tries` draws in a row bring nothing more."""
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
