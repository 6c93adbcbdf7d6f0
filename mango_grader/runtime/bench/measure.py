"""The whole benchmark of a model on this host, in slices of equal length that take turns."""

import datetime
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from mango_grader.cores import usable_cores
from mango_grader.progress import Progress, SilentProgress
from mango_grader.runtime.bench.decoding import ImageSet, cost, decode_times
from mango_grader.runtime.bench.memory import peak_mb, resident_mb
from mango_grader.runtime.bundle.archive import Bundle
from mango_grader.runtime.exits import Full
from mango_grader.runtime.inference.host_profile import (
    DecodeCost,
    Host,
    HostProfile,
    Memory,
    StageLatency,
    Throughput,
)
from mango_grader.runtime.inference.measuring import MOST_SAMPLES, measure_stages
from mango_grader.runtime.inference.sessions import StagedModel

BATCHES = (1, 8, 32)
LATENCY_TURNS, THROUGHPUT_TURNS, DECODING_TURNS = 4, 2, 2
"""Slices of each measurement; between them, all others have theirs, so that a slow moment touches each a little."""


@dataclass(frozen=True)
class Benchmark:
    """What to measure.

    Attributes:
        bundle: of the model.
        images: encoded images whose decoding is measured.
        provider: "auto", "cpu" or "cuda".
        workers: the model is measured with one thread and with this many; None is one per usable core.
        seconds: that all of it takes, about.

    Example:
        ```python
        from mango_grader.runtime import Bundle
        from mango_grader.runtime.bench import Benchmark, drawn_sets

        profile = Benchmark(Bundle.open("model.mango"), drawn_sets(), seconds=5).run()
        for latency in profile.latency:
            print(latency.precision, latency.workers, latency.whole())
        ```
    """

    bundle: Bundle
    images: Sequence[ImageSet]
    provider: str = "auto"
    workers: int | None = None
    seconds: float = 30.0

    def run(self, progress: Progress | None = None) -> HostProfile:
        """Measure everything.

        Args:
            progress: where to report to; None reports nowhere.

        Raises:
            UsageError: for a provider that is not there, or where no image can be decoded.
            BundleError: if the bundle is damaged.
        """
        models, memory = self._load()
        workers = tuple(dict.fromkeys((1, self.workers or usable_cores())))
        latency = [_Latency(*each) for each in product(models.values(), workers)]
        throughput = [_Throughput(*each) for each in product(models.values(), BATCHES, workers)]
        decoding = [_Decoding(self.bundle, one) for one in self.images]
        turns: list[Callable[[float], None]] = [
            *(each.turn for each in latency * LATENCY_TURNS),
            *(each.turn for each in throughput * THROUGHPUT_TURNS),
            *(each.turn for each in decoding * DECODING_TURNS),
        ]
        slice_s = self.seconds / len(turns)
        with (progress or SilentProgress()).task("bench", len(turns)) as task:
            for turn in turns:
                turn(slice_s)
                task.advance()
        peak = peak_mb()
        return HostProfile(
            host=Host.here(),
            model=self.bundle.digest,
            measured=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            cores=usable_cores(),
            latency=tuple(each.result() for each in latency),
            throughput=tuple(each.result() for each in throughput),
            decoding=tuple(each.result() for each in decoding),
            memory=None if peak is None or not memory else Memory(memory, peak),
        )

    def _load(self) -> tuple[Mapping[str, "_Loaded"], Mapping[str, float]]:
        """Return the model in each precision, and the megabytes that loading it took."""
        images, models, memory = self.bundle.golden().images, {}, {}
        for precision in self.bundle.manifest.stages:
            before = resident_mb()
            models[precision] = _Loaded(StagedModel.load(self.bundle, self.provider, precision), images)
            if before is not None and (after := resident_mb()) is not None:
                memory[precision] = max(0.0, after - before)
        return models, memory


@dataclass(frozen=True, eq=False)
class _Loaded:
    """A model and images (M, H, W, 3) for it."""

    model: StagedModel
    images: NDArray[np.uint8]


class _Latency:
    """The times of each stage at batch size 1."""

    def __init__(self, loaded: _Loaded, workers: int) -> None:
        self._loaded, self._workers = loaded, workers
        self._turns: list[tuple[tuple[float, ...], ...]] = []

    def turn(self, seconds: float) -> None:
        most = MOST_SAMPLES // LATENCY_TURNS
        self._turns.append(measure_stages(self._loaded.model, self._loaded.images, seconds, self._workers, most=most))

    def result(self) -> StageLatency:
        model = self._loaded.model
        samples = tuple(sum(rows, ()) for rows in zip(*self._turns, strict=True))
        return StageLatency(model.precision, model.provider, self._workers, samples)


class _Throughput:
    """Images per second of all threads together."""

    def __init__(self, loaded: _Loaded, batch: int, workers: int) -> None:
        self._loaded, self._batch, self._workers = loaded, batch, workers
        self._rates: list[float] = []

    def turn(self, seconds: float) -> None:
        images = self._loaded.images
        batch = images[np.arange(self._batch) % len(images)]
        begin = time.perf_counter()

        def work(_: int) -> int:
            done = 0
            while not done or time.perf_counter() - begin < seconds:
                self._loaded.model.run(batch, Full())
                done += self._batch
            return done

        if self._workers == 1:
            done = work(0)
        else:
            with ThreadPoolExecutor(self._workers) as pool:
                done = sum(pool.map(work, range(self._workers)))
        self._rates.append(done / (time.perf_counter() - begin))

    def result(self) -> Throughput:
        precision = self._loaded.model.precision
        return Throughput(precision, self._batch, self._workers, round(float(np.median(self._rates)), 1))


class _Decoding:
    """The time of one thread for an encoded image."""

    def __init__(self, bundle: Bundle, images: ImageSet) -> None:
        self._preprocess, self._images = bundle.manifest.preprocess, images
        self._times: list[float] = []

    def turn(self, seconds: float) -> None:
        self._times += decode_times(self._preprocess, self._images, seconds)

    def result(self) -> DecodeCost:
        return cost(self._images, self._times)
