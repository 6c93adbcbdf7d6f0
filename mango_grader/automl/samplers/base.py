"""Sampler: where candidate architectures come from, in the ask-and-tell style."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from mango_grader.automl.architecture import Architecture
from mango_grader.automl.cost import Limits
from mango_grader.automl.spaces import SearchSpace
from mango_grader.errors import MangoError


class Sampler(Protocol):
    """Proposes architectures and may learn from their scores."""

    def ask(self, rng: np.random.Generator, count: int) -> list[Architecture]:
        """Return `count` proposals."""

    def tell(self, scored: Sequence[tuple[Architecture, float]]) -> None:
        """Learn from architectures and their scores (higher is better)."""


class NoneAdmittedError(MangoError):
    """No architecture within the limits was found."""

    def __init__(self, space: SearchSpace, limits: Limits | None = None, tried: int = 0) -> None:
        wanted = f" obeys {limits}" if limits else " obeys the limits"
        super().__init__(
            f"none of {tried} architectures of the space {space.config.kind!r}{wanted}; "
            "raise the limit or search a smaller space (for example --set channels=32)"
        )
