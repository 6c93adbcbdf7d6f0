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
    """Decides which images stop at an exit; images that reach the last exit always stop there."""

    def settled(self, exit_index: int, probabilities: NDArray[np.floating]) -> NDArray[np.bool_]:
        """Return which images stop at an exit.

        Args:
            exit_index: from 0.
            probabilities: (N, C) of that exit, calibrated.

        Returns:
            (N,) bool.
        """

    def __str__(self) -> str:
        """Return the policy's name and numbers, by which two jobs are told apart."""


@dataclass(frozen=True)
class Full:
    """Every image goes to the last exit."""

    def settled(self, exit_index: int, probabilities: NDArray[np.floating]) -> NDArray[np.bool_]:
        """Return False for all images."""
        return np.zeros(len(probabilities), np.bool_)

    def __str__(self) -> str:
        return "full"


@dataclass(frozen=True)
class ExitAt:
    """Every image stops at one exit.

    Attributes:
        index: of the exit, from 0.
    """

    index: int

    def settled(self, exit_index: int, probabilities: NDArray[np.floating]) -> NDArray[np.bool_]:
        """Return True for all images from exit `index` on."""
        return np.full(len(probabilities), exit_index >= self.index, np.bool_)

    def __str__(self) -> str:
        return f"exit:{self.index + 1}"


@dataclass(frozen=True)
class Threshold:
    """An image stops at an exit if its largest probability reaches the exit's threshold.

    Source: MSDNet (arXiv:1703.09844), budgeted batch classification.

    Attributes:
        thresholds: one per exit but the last; no image stops at an exit whose threshold is above 1.
    """

    thresholds: tuple[float, ...]

    def settled(self, exit_index: int, probabilities: NDArray[np.floating]) -> NDArray[np.bool_]:
        """Return True for images that are sure enough."""
        if exit_index >= len(self.thresholds):
            return np.ones(len(probabilities), np.bool_)
        confident: NDArray[np.bool_] = probabilities.max(axis=1) >= self.thresholds[exit_index]
        return confident

    def __str__(self) -> str:
        return "threshold:" + ",".join(f"{value:.9g}" for value in self.thresholds)


def parse_exit_policy(text: str, manifest: Manifest) -> ExitPolicy:
    """Return the exit policy of a model that a text names.

    Args:
        text: "full", "exit:K" with K from 1, or the name of one of the model's own, such as "threshold".
        manifest: of the model.

    Raises:
        UsageError: if the model has no such exit policy.
    """
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
