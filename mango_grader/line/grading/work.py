"""What the grader has run, so that a replay can run exactly the same."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self


@dataclass(frozen=True)
class Round:
    """One stage of the model, run for a batch of views.

    Attributes:
        stage: from 1, as exits are numbered.
        views: of the batch in their order, each as the numbers of its fruit and of its frame.
    """

    stage: int
    views: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Work:
    """The rounds that one call ran, in their order.

    The batches are kept, since the last bits of an answer may depend on what else is in a batch.

    Attributes:
        rounds: in their order.

    Example:
        >>> work = Work((Round(1, ((7, 120), (8, 120))), Round(2, ((8, 120),))))
        >>> work.to_list()
        [[1, [[7, 120], [8, 120]]], [2, [[8, 120]]]]
        >>> Work.from_list(work.to_list()) == work
        True
    """

    rounds: tuple[Round, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.rounds)

    @property
    def stages(self) -> int:
        """Number of stages run, each view of a batch counted."""
        return sum(len(each.views) for each in self.rounds)

    def to_list(self) -> list[Any]:
        """Return plain JSON values: a pair for each round, the stage and its views."""
        return [[each.stage, [list(view) for view in each.views]] for each in self.rounds]

    @classmethod
    def from_list(cls, rounds: Sequence[Any]) -> Self:
        """Rebuild from `to_list`; raise `TypeError` or `ValueError` for anything else."""
        return cls(tuple(Round(int(stage), tuple((int(a), int(b)) for a, b in views)) for stage, views in rounds))
