"""What a fusion is: it makes one answer of the answers to several views of one fruit."""

from dataclasses import dataclass
from typing import ClassVar, Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import NDArray


@runtime_checkable
class Fusion(Protocol):
    """Makes one answer of several; `fuse` gives it sound ones alone, in an order that is always the same."""

    def combine(self, views: NDArray[np.float64], exit_number: int) -> NDArray[np.float64]:
        """Return the probabilities (C,) of the fruit, up to a common factor.

        Args:
            views: (V, C), the probabilities of two or more views, all of them finite.
            exit_number: the exit that gave them, or the least of these exits, from 1.
        """

    def __str__(self) -> str:
        """Return the fusion's name and numbers, as `parse_fusion` reads them."""


@dataclass(frozen=True, kw_only=True)
class FusionContext:
    """What a model offers to a fusion that is made for it.

    Attributes:
        classes: names of the C classes, in the order of the probabilities.
        ordinal: whether they are grades in order.
        exits: number of exits.
        prior: (C,), how frequent the classes are where the model comes from, which sum to 1.
    """

    classes: tuple[str, ...]
    ordinal: bool
    exits: int
    prior: tuple[float, ...]


class ParsedFusion(Fusion, Protocol):
    """A fusion that a text can name.

    Attributes:
        form: how the text is written, as messages show it.
    """

    form: ClassVar[str]

    @classmethod
    def parse(cls, argument: str, context: FusionContext) -> Self:
        """Return the fusion for a model.

        Args:
            argument: what follows the fusion's name and its colon; "" without a colon.
            context: what the model offers.

        Raises:
            UsageError: if the argument is wrong, or if the model lacks what the fusion needs.
        """


def fuse(fusion: Fusion, views: NDArray[np.floating], exit_number: int) -> NDArray[np.float64]:
    """Return the probabilities (C,) of a fruit; NaN where no view has an answer.

    Views without a finite answer are left out, the order of the views does not matter, to the last bit, and the answer
    to a single view is the fruit's.

    Args:
        fusion: that makes one answer of several.
        views: (V, C), the probabilities of its views; NaN where there is none.
        exit_number: the exit that gave them, or the least of these exits, from 1.

    Example:
        >>> from mango_grader.line.grading.fusions import parse_fusion
        >>> fusion = parse_fusion("mean", FusionContext(classes=("A", "B"), ordinal=True, exits=3, prior=(0.5, 0.5)))
        >>> fuse(fusion, np.array([[0.9, 0.1], [0.5, 0.5], [np.nan, np.nan]]), exit_number=1).tolist()
        [0.7, 0.3]
    """
    sound = np.asarray(views, np.float64)
    sound = sound[np.isfinite(sound).all(axis=1)]
    if not len(sound):
        return np.full(views.shape[1], np.nan)
    if len(sound) == 1:
        return np.asarray(sound[0])
    combined = fusion.combine(sound[np.lexsort(sound.T[::-1])], exit_number)
    return np.asarray(combined / combined.sum())
