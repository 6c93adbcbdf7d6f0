"""Sampler: where candidate architectures come from, in the ask-and-tell style."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from mango_grader.automl.architecture import Architecture
from mango_grader.automl.spaces import SearchSpace
from mango_grader.errors import MangoError


class Sampler(Protocol):
    """Proposes architectures and may learn from their scores."""

    def ask(self, rng: np.random.Generator, count: int) -> list[Architecture]:
        """Return `count` proposals."""

    def tell(self, scored: Sequence[tuple[Architecture, float]]) -> None:
        """Learn from architectures and their scores (higher is better)."""


class NoneAdmittedError(MangoError):
    """No architecture within the user's limits was found."""

    def __init__(self, space: SearchSpace, tried: int) -> None:
        super().__init__(
            f"none of {tried} architectures of the space {space.config.kind!r} obeys the limits; "
            "raise --max-params or --max-macs, or search a smaller space (for example --set space.depth=8)"
        )
