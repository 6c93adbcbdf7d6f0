"""Gates: what a search method says to a super net. Methods never touch modules."""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from mango_grader.automl.architecture import Architecture, Decision


@dataclass(frozen=True)
class Gate:
    """One decision, relaxed or taken.

    active: indices of the candidates that are executed. weight: (candidates,), the factor on each one's output; a zero
    weight may be active, so that its gradient is known. None means a factor of one without a multiplication.
    """

    active: tuple[int, ...]
    weight: Tensor | None = None


Gates = Mapping[str, Gate]


def gates_of(architecture: Architecture, decisions: tuple[Decision, ...]) -> Gates:
    """Return the gates under which a super net computes exactly `architecture`."""
    return {
        decision.name: Gate(tuple(decision.candidates.index(name) for name in architecture.choices[decision.name]))
        for decision in decisions
    }
