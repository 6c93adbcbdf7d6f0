"""With how many threads a run computes: where others use the cores, fewer than all of them are faster."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch

from mango_grader.training.device import Device
from mango_grader.workflow.timing import timed

_PROBE_STEPS = 2
_WORTH = 0.9  # of the time with all threads: what is less of a gain may be chance
_most: ContextVar[int | None] = ContextVar("most", default=None)


def take_fastest(step: Callable[[], object], device: Device) -> int:
    """Try `step` with all threads and with fewer, go on with the fastest, and return how many those are.

    All are as many as torch had when `kept_threads` began. They wait for the slowest of them in every operation: beside
    four busy processes on two cores, a training step with two threads took 2.4 times as long as with one. On a GPU the
    number stays.
    """
    most = _most.get() or torch.get_num_threads()
    if device.is_gpu or most == 1:
        return most
    seconds: dict[int, float] = {}
    for count in sorted({most, most // 2, most // 4 or 1, 1}, reverse=True):
        torch.set_num_threads(count)
        seconds[count] = timed(step, _PROBE_STEPS, device) * (1.0 if count == most else 1 / _WORTH)
    fastest = min(seconds, key=lambda count: seconds[count])
    torch.set_num_threads(fastest)
    return fastest


def take(count: int | None) -> None:
    """Compute with `count` threads from now on; None changes nothing."""
    if count is not None:
        torch.set_num_threads(count)


@contextmanager
def kept_threads() -> Iterator[None]:
    """Leave torch with as many threads as it had."""
    before = torch.get_num_threads()
    token = _most.set(before)
    try:
        yield
    finally:
        _most.reset(token)
        torch.set_num_threads(before)
