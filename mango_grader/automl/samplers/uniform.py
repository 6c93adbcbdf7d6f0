"""Uniform sampling under the user's limits, by rejection."""

from collections.abc import Callable, Sequence

import numpy as np

from mango_grader.automl.architecture import Architecture
from mango_grader.automl.samplers.base import InfeasibleError
from mango_grader.automl.spaces import SearchSpace

_TRIES = 1000


class UniformSampler:
    """Draws each architecture that `feasible` accepts with the same probability."""

    def __init__(self, space: SearchSpace, feasible: Callable[[Architecture], bool]) -> None:
        self._space, self._feasible = space, feasible

    def ask(self, rng: np.random.Generator, count: int) -> list[Architecture]:
        """Return `count` draws; raises InfeasibleError after 1,000 refusals in a row."""
        return [self._draw(rng) for _ in range(count)]

    def tell(self, scored: Sequence[tuple[Architecture, float]]) -> None:
        """Learn nothing."""

    def _draw(self, rng: np.random.Generator) -> Architecture:
        for _ in range(_TRIES):
            architecture = self._space.sample(rng)
            if self._feasible(architecture):
                return architecture
        raise InfeasibleError(self._space, tried=_TRIES)
