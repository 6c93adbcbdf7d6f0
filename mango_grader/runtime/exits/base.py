"""What an exit policy is: it decides, exit by exit, which images stop there."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal, Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from mango_grader.errors import UsageError
from mango_grader.runtime.bundle.manifest import Thresholds
from mango_grader.runtime.exits.stage_times import StageTimes

DependsOn = Literal["nothing", "image", "clock"]
"""What the exit of an image can depend on; on the clock means on the image as well."""


@dataclass(frozen=True, eq=False)
class Reached:
    """Images that an exit has just answered.

    Attributes:
        probabilities: (k, N, C), calibrated, of exits 1 to k; the last are the new answers.
        started: seconds on the clock of `time.perf_counter` at which the first of the images was handed in; None where
            stored answers are replayed, which take no time.
    """

    probabilities: NDArray[np.floating]
    started: float | None = None

    @property
    def exit_index(self) -> int:
        """Index of the exit, from 0."""
        return len(self.probabilities) - 1


@runtime_checkable
class ExitPolicy(Protocol):
    """Decides which images stop at an exit; images that reach the last exit always stop there.

    Attributes:
        depends_on: what the exit of an image depends on; "nothing" where all stop at the same one.
    """

    depends_on: ClassVar[DependsOn]

    def settled(self, reached: Reached) -> NDArray[np.bool_]:
        """Return which images stop at the exit that they have reached, (N,).

        Args:
            reached: the images, with their answers so far.
        """

    def __str__(self) -> str:
        """Return the policy's name and numbers, by which two jobs are told apart."""


@dataclass(frozen=True, eq=False)
class CalibrationSet:
    """A model's calibrated answers to images that it was not trained on, from which policies and rules are chosen.

    Attributes:
        probabilities: (K, N, C), calibrated, of every exit.
        groups: (N,) int, the fruit of each image, 0..G - 1.
        labels: (N,) int, the class of each image, 0..C - 1; None where nobody graded them.
        retrained: whether the network has been trained on these images since it gave these answers.
    """

    probabilities: NDArray[np.floating]
    groups: NDArray[np.integer]
    labels: NDArray[np.integer] | None = None
    retrained: bool = False

    @property
    def group_count(self) -> int:
        """Number of different fruit."""
        return len(np.unique(self.groups))


def _no_times() -> StageTimes:
    raise UsageError("a deadline needs the times of the stages on this host: load the model with Grader.load")


@dataclass(frozen=True, kw_only=True)
class PolicyContext:
    """What a model offers to an exit policy or a decision rule that is made for it.

    Attributes:
        macs: (K,), multiply-adds of one image up to and with each exit.
        temperatures: (K,), by which each exit's probabilities are calibrated, above 0; () where all are 1.
        thresholds: of the policies that were tuned in training, by their names.
        read_calibration: returns the calibration data; raises `UsageError` where the model has none.
        stage_times: returns how long the stages take on this host, and may measure it for a second; raises
            `UsageError` where no model is loaded.
    """

    macs: tuple[int, ...]
    temperatures: tuple[float, ...] = ()
    thresholds: Mapping[str, Thresholds]
    read_calibration: Callable[[], CalibrationSet]
    stage_times: Callable[[], StageTimes] = _no_times

    @property
    def exits(self) -> int:
        """Number of exits."""
        return len(self.macs)


class ParsedPolicy(ExitPolicy, Protocol):
    """An exit policy that a text can name.

    Attributes:
        form: how the text is written, as messages show it.
    """

    form: ClassVar[str]

    @classmethod
    def parse(cls, argument: str, context: PolicyContext) -> Self:
        """Return the policy for a model.

        Args:
            argument: what follows the policy's name and its colon; "" without a colon.
            context: what the model offers.

        Raises:
            UsageError: if the argument is wrong, or if the model lacks what the policy needs.
        """


def stop_exits(policy: ExitPolicy, probabilities: NDArray[np.floating]) -> NDArray[np.int64]:
    """Return the index of the exit, from 0, at which each image stops: int (N,).

    Args:
        policy: decides exit by exit which images stop.
        probabilities: (K, N, C), calibrated, of every exit.
    """
    exits, count, _ = probabilities.shape
    stops = np.full(count, exits - 1, dtype=np.int64)
    waiting = np.arange(count)
    for index in range(exits - 1):
        settled = np.asarray(policy.settled(Reached(probabilities[: index + 1, waiting])), dtype=bool)
        stops[waiting[settled]] = index
        waiting = waiting[~settled]
    return stops
