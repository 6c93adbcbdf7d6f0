"""Images between two stages of a model: what is kept of them so that a later call can go on where this one stopped."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class InFlight:
    """A batch of images that has been through some stages of a model, see `StagedModel.advance`.

    Attributes:
        stages: number of stages that have run, from 0.
        state: what the next stage reads: arrays (N, …) by name.

    Example:
        Two images go through the first stage together, and one of them through the second:

        ```python
        from mango_grader.runtime import Grader

        grader = Grader.load("model.mango")
        images = np.stack([grader.manifest.preprocess("mango.jpg")] * 2)
        first, batch = grader.model.advance(grader.model.begin(images))
        second, _ = grader.model.advance(batch.rows([1]))
        ```
    """

    stages: int
    state: Mapping[str, NDArray[Any]]

    def __len__(self) -> int:
        return len(next(iter(self.state.values()))) if self.state else 0

    def rows(self, rows: Sequence[int]) -> Self:
        """Return some of the images, copied, so that the rest of the batch can be freed.

        Args:
            rows: their numbers in the batch, from 0.
        """
        return type(self)(self.stages, {name: values[list(rows)] for name, values in self.state.items()})

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """Return one batch of several.

        Args:
            parts: one or more, which have been through the same stages.

        Raises:
            ValueError: they have not.
        """
        if len({part.stages for part in parts}) != 1:
            raise ValueError("images that have been through different stages make no batch")
        if len(parts) == 1:
            return parts[0]
        state = {name: np.concatenate([part.state[name] for part in parts]) for name in parts[0].state}
        return cls(parts[0].stages, state)
