"""What this machine can do, here and now: how long steps take, how many threads are fastest, how much memory went."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from time import perf_counter

import torch

from mango_grader.training.device import Device
from mango_grader.training.learner import Learner

_PROBE_STEPS = 3
_PROBE_SECONDS = 0.7  # at least: on a busy machine single steps tell little
_MOST_PROBES = 10
_FIXED_SECONDS = 7.0
_REFERENCE_STEPS, _REFERENCE_SECONDS = 5_000_000, 0.25
_THREAD_STEPS = 2
_CONTAINER = Path("/sys/fs/cgroup/memory.max")
_WORTH = 0.9  # of the time with all threads: a smaller gain may be chance
_all_threads: ContextVar[int | None] = ContextVar("all_threads", default=None)


def seconds_of(action: Callable[[], object], times: int, device: Device) -> float:
    """Return the mean duration of `action` in seconds, after one warm-up call.

    Args:
        action: what is timed; on a GPU, all that it has queued is waited for.
        times: calls, at least; more, up to 10, where these fill less than 0.7 s.
        device: where the action computes.
    """
    action()
    _wait(device)
    start, done = perf_counter(), 0
    while done < times or (done < _MOST_PROBES and perf_counter() - start < _PROBE_SECONDS):
        action()
        _wait(device)
        done += 1
    return (perf_counter() - start) / done


def fixed_seconds() -> float:
    """Return the estimated seconds of measuring, exporting and reporting, here and now.

    They are 7 on an idle core of the machine that this was written on. A piece of work that took a quarter of a second
    there tells how much slower or busier this machine is.
    """
    start = perf_counter()
    total = 0
    for number in range(_REFERENCE_STEPS):
        total += number * number % 7
    return _FIXED_SECONDS * (perf_counter() - start) / _REFERENCE_SECONDS


def epoch_seconds(learner: Learner, watched: int, device: Device) -> float:
    """Time a few training steps and return the estimated seconds of an epoch.

    Args:
        learner: what is trained; it really takes the steps, so throw it away.
        watched: validation images that are predicted after each epoch.
        device: where the learner computes.
    """
    learner.begin_epoch(0)
    watching = watched / 3  # a forward pass costs about a third of a training step
    steps = learner.batches.per_epoch + watching / learner.batches.batch_size
    return seconds_of(lambda: learner.step(0), _PROBE_STEPS, device) * steps


def _wait(device: Device) -> None:
    if device.is_gpu:
        torch.cuda.synchronize()


def choose_threads(step: Callable[[], object], device: Device) -> int:
    """Try `step` with all threads and with fewer, go on with the fastest number, and return it.

    In every operation all threads wait for the slowest: beside four busy processes on two cores, a training step with
    two threads took 2.4 times as long as with one. On a GPU the number stays.

    Args:
        step: a training step that may be taken any number of times.
        device: where the step computes.
    """
    most = _all_threads.get() or torch.get_num_threads()
    if device.is_gpu or most == 1:
        return most
    seconds: dict[int, float] = {}
    for count in sorted({most, most // 2, most // 4 or 1, 1}, reverse=True):
        torch.set_num_threads(count)
        seconds[count] = seconds_of(step, _THREAD_STEPS, device) * (1.0 if count == most else 1 / _WORTH)
    fastest = min(seconds, key=lambda count: seconds[count])
    torch.set_num_threads(fastest)
    return fastest


def use_threads(count: int | None) -> None:
    """Compute with `count` threads from now on; None changes nothing."""
    if count is not None:
        torch.set_num_threads(count)


@contextmanager
def restored_threads() -> Iterator[None]:
    """Give torch back as many threads as it has now, which are all that `choose_threads` tries."""
    before = torch.get_num_threads()
    token = _all_threads.set(before)
    try:
        yield
    finally:
        _all_threads.reset(token)
        torch.set_num_threads(before)


def usable_memory() -> int | None:
    """Return the bytes of main memory that this process may use, its container's limit counted; None if unknown."""
    found = []
    with suppress(AttributeError, OSError, ValueError):  # not on Windows
        found.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    with suppress(OSError, ValueError):  # "max" is no number
        found.append(int(_CONTAINER.read_text(encoding="ascii")))
    return min(found, default=None)


def peak_memory_mb(device: Device) -> float | None:
    """Return this process's peak memory in MB, on the GPU where it uses one; None on Windows, which is not asked."""
    if device.is_gpu:
        return torch.cuda.max_memory_allocated() / 1e6
    try:
        import resource  # not there on Windows
    except ImportError:
        return None
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used / (1e6 if sys.platform == "darwin" else 1e3)  # bytes on macOS, kB elsewhere
