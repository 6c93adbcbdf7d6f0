"""The fusion by which the worst side of a fruit is its grade."""

import re
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from mango_grader.errors import UsageError
from mango_grader.line.grading.fusions.base import FusionContext

SURE = 0.5
"""Probability of its grade from which a view counts as sure, unless another one is named."""

_ARGUMENT = re.compile(r"(0?\.\d{1,9}|[01](?:\.0{1,9})?)?(?:(?:^|,)(first|last))?", re.ASCII)


@dataclass(frozen=True)
class Worst:
    """The answer to the view that shows the worst grade, among the views that are sure of theirs.

    Where none is sure, all views count. Of several views with the worst grade, the surest one answers. Each view more
    is another chance to see a defect, and to see one where there is none, so the more views, the surer they must be.

    Attributes:
        sure: probability of its grade from which a view is sure, 0..1.
        first: whether the first class of the model is the worst one; else the last one is, as in A, B, C.
    """

    form: ClassVar[str] = "worst[:SURE][,first|last]"
    sure: float = SURE
    first: bool = False

    def combine(self, views: NDArray[np.float64], exit_number: int) -> NDArray[np.float64]:
        """Return the probabilities of the view that shows the worst grade."""
        confidences = views.max(axis=1)
        sure = confidences >= self.sure
        grades = views.argmax(axis=1)
        badness = np.where(sure | ~sure.any(), -grades if self.first else grades, -views.shape[1])
        return np.asarray(views[np.where(badness == badness.max(), confidences, -1.0).argmax()])

    def __str__(self) -> str:
        return f"worst:{self.sure:.9g},{'first' if self.first else 'last'}"

    @classmethod
    def parse(cls, argument: str, context: FusionContext) -> Self:
        """Return the fusion for "", "0.6", "first" or "0.6,first"."""
        match = _ARGUMENT.fullmatch(argument)
        if match is None:
            raise UsageError(
                f"fusion worst:{argument[:40]}: write worst:0.6 for views that are sure by 0.6, and worst:0.6,first"
                " where the model's first class is the worst"
            )
        if not context.ordinal:
            raise UsageError("fusion worst: the model's classes are not grades in order; use evidence, mean or vote")
        return cls(SURE if match[1] is None else float(match[1]), match[2] == "first")
