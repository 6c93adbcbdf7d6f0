"""The exit policy that stops an image where the next stage would answer too late."""

import re
import time
from dataclasses import dataclass, field, replace
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from mango_grader.errors import UsageError
from mango_grader.runtime.exits.base import DependsOn, ExitPolicy, PolicyContext, Reached
from mango_grader.runtime.exits.fixed import Full
from mango_grader.runtime.exits.stage_times import StageTimes

MARGIN = 0.1
"""Share of a stage's expected time that is kept free beside it."""
MARGIN_MS = 0.3
"""Milliseconds that are kept free for what follows the last stage: the decision and the record."""

_DURATION = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)(ms|s)", re.ASCII)


@dataclass(frozen=True)
class Deadline:
    """The next stage starts only if it is expected to end in time; exit 1 always answers.

    The clock starts when the image is handed in, so decoding counts. It needs batches of one image.

    Attributes:
        ms: milliseconds from the moment an image is handed in to its answer, above 0.
        times: of each stage on this host.
        within: another policy, by which an image may stop before.
    """

    form: ClassVar[str] = "deadline:25ms"
    depends_on: ClassVar[DependsOn] = "clock"
    ms: float
    times: StageTimes = field(compare=False)
    within: ExitPolicy = Full()

    def settled(self, reached: Reached) -> NDArray[np.bool_]:
        """Return True for images that the other policy stops, and for all if the next stage would end too late.

        Stored answers are replayed as if each stage took its expected time and decoding took none.
        """
        stage, settled = reached.exit_index + 1, self.within.settled(reached)
        if settled.all() or self._passed(reached) + self._needed(stage) <= self.ms:
            return settled
        if reached.started is not None:
            self.times.refuse(stage)
        return np.ones_like(settled)

    def missed(self, started: float) -> bool:
        """Return whether the deadline is over for an image that was handed in at `started` (`time.perf_counter`)."""
        return _since(started) > self.ms

    def tightened(self, ms: float) -> Self:
        """Return this policy with a deadline of its own and of `ms`, whichever is earlier."""
        return replace(self, ms=min(self.ms, ms))

    @property
    def warning(self) -> str | None:
        """Why no image can be expected to be in time; None if some can."""
        first = self._needed(0)
        if first <= self.ms:
            return None
        return (
            f"a deadline of {self.ms:.9g} ms is shorter than exit 1 takes here ({first:.2g} ms with a margin): "
            "every image is answered by exit 1, most of them late"
        )

    def _passed(self, reached: Reached) -> float:
        if reached.started is not None:
            return _since(reached.started)
        return sum(map(self.times.expected, range(reached.exit_index + 1)))

    def _needed(self, stage: int) -> float:
        return self.times.expected(stage) * (1 + MARGIN) + MARGIN_MS

    def __str__(self) -> str:
        return f"deadline:{self.ms:.9g}ms"

    @classmethod
    def parse(cls, argument: str, context: PolicyContext) -> Self:
        """Return the policy for a duration with its unit; measures the stages for a second where no profile is kept."""
        return cls(parse_ms(argument), context.stage_times())


def parse_ms(text: str) -> float:
    """Return the milliseconds of a deadline such as "25ms" or "0.5s".

    Args:
        text: digits, and a unit, ms or s.

    Raises:
        UsageError: if it is no duration above 0.
    """
    match = _DURATION.fullmatch(text)
    if match is None or not float(match[1]):
        raise UsageError(f"policy deadline, {text[:20]!r}: give a duration above 0 with its unit, such as 25ms or 0.5s")
    return float(match[1]) * (1 if match[2] == "ms" else 1000)


def check_ms(ms: float) -> float:
    """Return a deadline in milliseconds; raise `UsageError` unless it is a finite number above 0."""
    if not (np.isfinite(ms) and ms > 0):
        raise UsageError(f"deadline_ms={ms}: a deadline is a number of milliseconds above 0")
    return float(ms)


def _since(started: float) -> float:
    return (time.perf_counter() - started) * 1e3
