"""Which exit policies and decision rules of a model are measured side by side."""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import TypeVar

from mango_grader.errors import UsageError
from mango_grader.runtime.exits import EXIT_POLICIES

Made = TypeVar("Made")

HALF, RISK, CONFORMAL = "budget:50%", "risk:eps=0.05,delta=0.1", "conformal:alpha=0.1"
"""What is tried of the policies and rules that need calibration data."""


@dataclass(frozen=True)
class Refusal:
    """An exit policy or a decision rule that a model does not allow.

    Attributes:
        name: as it would be asked for.
        reason: one line.
    """

    name: str
    reason: str


def usual_policies(exits: int, tuned: Collection[str], default: str, *, calibrated: bool) -> tuple[str, ...]:
    """Return the exit policies that are measured unless others are named.

    Args:
        exits: number of exits.
        tuned: names of the policies whose thresholds were tuned in training.
        default: the model's own.
        calibrated: whether the model keeps calibration data.
    """
    if exits < 2:
        return ("full",)
    fixed = ("full", *(f"exit:{number}" for number in range(1, exits)))
    solved = [name for name in (HALF, RISK) if calibrated and name.partition(":")[0] in EXIT_POLICIES]
    return tuple(dict.fromkeys((*fixed, *tuned, *solved, default)))


def make_allowed(names: Iterable[str], make: Callable[[str], Made]) -> tuple[dict[str, Made], tuple[Refusal, ...]]:
    """Return what each name stands for that a model allows, and why it does not allow the others.

    Args:
        names: of exit policies or of decision rules.
        make: from a name to what it stands for; raises `UsageError` for what the model does not allow.
    """
    made: dict[str, Made] = {}
    refused: list[Refusal] = []
    for name in names:
        try:
            made[name] = make(name)
        except UsageError as error:
            refused.append(Refusal(name, str(error)))
    return made, tuple(refused)
