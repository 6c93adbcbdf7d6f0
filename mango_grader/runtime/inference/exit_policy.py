"""Exit policies: at which exit an image stops, decided exit by exit from the answers there."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from mango_grader.errors import UsageError
from mango_grader.runtime.bundle.manifest import Manifest


@runtime_checkable
class ExitPolicy(Protocol):
    """Decides which images stop at an exit; whatever reaches the last exit stops there by itself."""

    def settled(self, exit_index: int, probabilities: NDArray[np.floating]) -> NDArray[np.bool_]:
        """Return (N,) bool for calibrated `probabilities` (N, C) of exit `exit_index` (from 0)."""

    def __str__(self) -> str:
        """Name the policy and its numbers, so that two runs can be told apart."""


@dataclass(frozen=True)
class Full:
    """Every image goes to the last exit."""

    def settled(self, exit_index: int, probabilities: NDArray[np.floating]) -> NDArray[np.bool_]:
        """Settle nothing early."""
        return np.zeros(len(probabilities), np.bool_)

    def __str__(self) -> str:
        return "full"


@dataclass(frozen=True)
class ExitAt:
    """Every image stops at exit `index` (from 0)."""

    index: int

    def settled(self, exit_index: int, probabilities: NDArray[np.floating]) -> NDArray[np.bool_]:
        """Settle all rows from `index` on."""
        return np.full(len(probabilities), exit_index >= self.index, np.bool_)

    def __str__(self) -> str:
        return f"exit:{self.index + 1}"


@dataclass(frozen=True)
class Threshold:
    """An image stops where its largest probability reaches that exit's threshold (MSDNet's budgeted scheme).

    `thresholds` holds one value per exit but the last; above 1, none stops at that exit.
    """

    thresholds: tuple[float, ...]

    def settled(self, exit_index: int, probabilities: NDArray[np.floating]) -> NDArray[np.bool_]:
        """Settle the confident rows."""
        if exit_index >= len(self.thresholds):
            return np.ones(len(probabilities), np.bool_)
        confident: NDArray[np.bool_] = probabilities.max(axis=1) >= self.thresholds[exit_index]
        return confident

    def __str__(self) -> str:
        return "threshold:" + ",".join(f"{value:.9g}" for value in self.thresholds)


def parse_exit_policy(text: str, manifest: Manifest) -> ExitPolicy:
    """Return the policy that `full`, `exit:K` (K from 1) or `threshold` names for this model, or `UsageError`."""
    exits = len(manifest.exits)
    if text == "full":
        return Full()
    if text.startswith("exit:"):
        number = text.removeprefix("exit:")
        if number in map(str, range(1, exits + 1)):
            return ExitAt(int(number) - 1)
        raise UsageError(f"policy {text!r}: this model has exits 1 to {exits}")
    if text in manifest.policies:
        return Threshold(tuple(manifest.policies[text]))
    raise UsageError(f"policy {text!r} is unknown to this model; use {_choices(exits, tuple(manifest.policies))}")


def _choices(exits: int, tuned: Sequence[str]) -> str:
    return ", ".join(["full", f"exit:1 … exit:{exits}", *tuned])
