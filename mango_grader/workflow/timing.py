"""How long things take on this machine, here and now."""

from collections.abc import Callable
from time import perf_counter

import torch

from mango_grader.training.device import Device
from mango_grader.training.learner import Learner

_PROBE_STEPS = 3
_PROBE_SECONDS = 0.7  # at least: on a busy machine single steps tell little
_MOST_PROBES = 10
_FIXED_SECONDS = 7.0
_REFERENCE_STEPS, _REFERENCE_SECONDS = 5_000_000, 0.25


def timed(action: Callable[[], object], times: int, device: Device) -> float:
    """Return the mean seconds of `action` after one warm-up call: of `times`, or as many as fill most of a second."""
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

    They are 7 on an idle core of the machine that this was written on. How much slower or busier this one is,
    is told by a piece of work that took a quarter of a second there.
    """
    start = perf_counter()
    total = 0
    for number in range(_REFERENCE_STEPS):
        total += number * number % 7
    return _FIXED_SECONDS * (perf_counter() - start) / _REFERENCE_SECONDS


def epoch_seconds(learner: Learner, watched: int, device: Device) -> float:
    """Time a few steps and return the estimated seconds of an epoch, the prediction of `watched` images included."""
    learner.begin_epoch(0)
    watching = watched / 3  # a forward pass costs about a third of a training step
    steps = learner.batches.per_epoch + watching / learner.batches.batch_size
    return timed(lambda: learner.step(0), _PROBE_STEPS, device) * steps


def _wait(device: Device) -> None:
    if device.is_gpu:
        torch.cuda.synchronize()
