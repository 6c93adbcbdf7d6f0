"""Measures how long the stages of a model take on this host."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from mango_grader.runtime.bundle.archive import Bundle
from mango_grader.runtime.exits import Full, StageTimes
from mango_grader.runtime.inference.host_profile import HostProfile
from mango_grader.runtime.inference.sessions import StagedModel

MOST_SAMPLES = 1000
"""Images whose times are kept of one measurement."""
_FEWEST_SAMPLES, _WARM_UP = 10, 3
_DIGITS = 4  # of a millisecond


def measure_stages(
    model: StagedModel, images: NDArray[np.uint8], seconds: float = 1.0, workers: int = 1, *, most: int = MOST_SAMPLES
) -> tuple[tuple[float, ...], ...]:
    """Run a model on one image after another, to the last exit, and return how long its stages took.

    Args:
        model: to measure.
        images: (M, H, W, 3) uint8 RGB, preprocessed; used in turn.
        seconds: after which no image is begun, if each worker has had 10.
        workers: number of threads that run the model side by side, 1 or more.
        most: number of images whose times are taken at most, 1 or more.

    Returns:
        K rows of n milliseconds, n at most `most`; column i is one image's way through all stages.
    """
    each = -(-most // workers)

    def work(first: int) -> list[NDArray[np.float64]]:
        found: list[NDArray[np.float64]] = []
        end = time.perf_counter() + seconds
        for number in range(-_WARM_UP, each):
            if number >= _FEWEST_SAMPLES and time.perf_counter() > end:
                break
            one = (first + number) % len(images)
            took = model.run(images[one : one + 1], Full()).stage_ms[:, 0]
            if number >= 0:  # Before, memory and caches are filled.
                found.append(took)
        return found

    if workers == 1:
        times = work(0)
    else:
        with ThreadPoolExecutor(workers) as pool:
            times = [one for found in pool.map(work, range(workers)) for one in found]
    rows = np.round(np.stack(times, axis=1)[:, :most], _DIGITS)
    return tuple(tuple(row) for row in rows.tolist())


class MeasuredTimes:
    """Times of a loaded model's stages on this host, measured when they are first asked for.

    Args:
        bundle: of the model.
        model: loaded from the bundle.
    """

    def __init__(self, bundle: Bundle, model: StagedModel) -> None:
        self._bundle, self._model = bundle, model
        self._lock = threading.Lock()
        self._times: dict[int, StageTimes] = {}

    def of(self, workers: int = 1) -> StageTimes:
        """Return the times for a number of threads side by side, always the same object.

        They begin with what `mango-grader bench` measured on this host. Without it, the model runs on its golden images
        for about a second first.

        Args:
            workers: number of threads that use the model, 1 or more.
        """
        if (known := self._times.get(workers)) is not None:  # No image waits while others are measured.
            return known
        with self._lock:
            if workers not in self._times:
                self._times[workers] = StageTimes(self._samples(workers))
            return self._times[workers]

    def _samples(self, workers: int) -> tuple[tuple[float, ...], ...]:
        profile, model = HostProfile.read(self._bundle), self._model
        kept = None if profile is None else profile.find(model.precision, workers, model.provider)
        return measure_stages(model, self._bundle.golden().images, workers=workers) if kept is None else kept.samples
