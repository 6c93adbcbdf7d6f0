"""Which exit policy a model uses unless another one is named."""

from dataclasses import dataclass

from mango_grader.runtime.bundle.manifest import CalibrationInfo
from mango_grader.runtime.exits.binomial import samples_needed
from mango_grader.runtime.exits.risk import DELTA, EPS
from mango_grader.text import counted


@dataclass(frozen=True)
class DefaultPolicy:
    """The exit policy of a model.

    Attributes:
        policy: as `parse_exit_policy` reads it.
        reason: why it is this one, a few words.
    """

    policy: str
    reason: str

    def __str__(self) -> str:
        return f"{self.policy}: {self.reason}"


def default_policy(exits: int, calibration: CalibrationInfo | None) -> DefaultPolicy:
    """Return "risk:eps=0.05,delta=0.1" where a model's calibration data allow it, else "full".

    So stopping early never costs accuracy that nobody agreed to.

    Args:
        exits: their number.
        calibration: what the model keeps; None for nothing.

    Example:
        >>> str(default_policy(3, CalibrationInfo(images=40, groups=37, labelled=True)))
        'full: 37 calibration fruit, 45 are needed to bound what stopping early costs'
    """
    needed = samples_needed(0, EPS, DELTA)
    if exits < 2:
        return DefaultPolicy("full", "there is one exit")
    if calibration is None:
        return DefaultPolicy("full", "there are no calibration data to bound what stopping early costs")
    if calibration.retrained:
        return DefaultPolicy("full", "the network was trained on its calibration fruit, too")
    if not calibration.labelled:
        return DefaultPolicy("full", "the calibration fruit are not graded")
    fruit = counted(calibration.groups, "calibration fruit", "calibration fruit")
    if calibration.groups < needed:
        return DefaultPolicy("full", f"{fruit}, {needed} are needed to bound what stopping early costs")
    return DefaultPolicy(f"risk:eps={EPS:g},delta={DELTA:g}", f"{fruit} bound what stopping early costs")


def explain_default(policy: str, exits: int, calibration: CalibrationInfo | None) -> str:
    """Return a model's default policy, with the reason where it is the one that `default_policy` chooses.

    Args:
        policy: the default that the model names.
        exits: their number.
        calibration: what the model keeps; None for nothing.
    """
    chosen = default_policy(exits, calibration)
    return str(chosen) if policy == chosen.policy else policy
