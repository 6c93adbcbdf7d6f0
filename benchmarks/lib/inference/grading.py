"""How fast photos are graded beside decoding alone, how much memory that takes, and how soon a camera is answered."""

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.lib.inference.photos import Photos
from mango_grader.cores import ordered_map
from mango_grader.runtime import Grader, Job, Results
from mango_grader.runtime.grading.items import FileItems
from mango_grader.runtime.inference.grader import BATCH_SIZE
from mango_grader.runtime.inference.sessions import FullModel

_WORKERS = (1, 2)
# The system counts for a process what its parent had when it started it, so that a small one has to.
_PEAK = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, check=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""
_SAMPLED = 60  # photos whose parts are timed one by one


def throughput(model: str, photos: Photos, rounds: int) -> dict[str, Any]:
    """Return the seconds of decoding photos alone and of grading them, by workers; each round does both in turn.

    Decoding alone is Pillow's, at the reduced scale at which grading decodes, and fits nothing. Grading is a whole job:
    from the paths to rows in a journal. Both leave out how long a process takes to start.
    """
    grader, files = Grader.load(model, "cpu"), photos.files()
    reduced = grader.manifest.preprocess.decode(files[0]).image.size

    def decode(path: str) -> None:
        with Image.open(path) as image:
            image.draft(None, reduced)
            image.load()

    def decode_all(workers: int) -> None:
        for _ in ordered_map(decode, files, workers):
            pass

    def grade_all(workers: int) -> None:
        with tempfile.TemporaryDirectory() as folder:
            job = Job(grader, Results(out=f"{folder}/rows.csv"))
            with job.opened() as journal:
                job.grade(journal, FileItems(files), workers)

    decode_all(2)  # The files are in the system's memory from here on.
    decoding: dict[str, list[float]] = {str(workers): [] for workers in _WORKERS}
    grading: dict[str, list[float]] = {str(workers): [] for workers in _WORKERS}
    for _ in range(rounds):
        for workers in _WORKERS:
            decoding[str(workers)].append(_seconds(lambda: decode_all(workers)))  # noqa: B023
            grading[str(workers)].append(_seconds(lambda: grade_all(workers)))  # noqa: B023
    ratios = {each: float(np.median(np.array(decoding[each]) / grading[each])) for each in decoding}
    return {
        "photos": len(files),
        "pixels": [photos.width, photos.height],
        "reduced": list(reduced),
        "mean_bytes": photos.mean_bytes,
        "policy": str(grader.policy),
        "rounds": rounds,
        "decode_s": decoding,
        "grade_s": grading,
        "share_of_decoding": ratios,
        "two_workers_to_one": float(np.median(np.array(grading["1"]) / grading["2"])),
        "cpu_ms": _parts(grader, files[:_SAMPLED], decode),
    }


def _parts(grader: Grader, files: Sequence[str], decode: Callable[[str], None]) -> dict[str, float]:
    """Return the CPU milliseconds of a photo in each part of grading, means over photos."""
    fit = grader.manifest.preprocess
    parts: dict[str, list[float]] = {"decoding alone": [], "decoding": [], "fitting": []}
    pixels = []
    for file in files:
        parts["decoding alone"].append(_cpu_ms(lambda: decode(file)))  # noqa: B023
        start = time.thread_time()
        decoded = fit.decode(file)
        between = time.thread_time()
        pixels.append(fit.fit(decoded.image).pixels)
        end = time.thread_time()
        parts["decoding"].append((between - start) * 1e3)
        parts["fitting"].append((end - between) * 1e3)
    means = {name: float(np.mean(values)) for name, values in parts.items()}
    batches = [np.stack(pixels[start : start + BATCH_SIZE]) for start in range(0, len(pixels), BATCH_SIZE)]
    inferring = _cpu_ms(lambda: [grader.model.run(batch, grader.policy) for batch in batches]) / len(pixels)
    return {**means, "network": inferring}


def peak_memory(model: str, few: Photos, many: Photos) -> dict[str, Any]:
    """Return the peak memory in MiB of `grade` on few and on many photos, two workers, each in a process of its own."""
    found = {str(len(photos.files())): _peak_mib(model, photos) for photos in (few, many)}
    small, large = found.values()
    return {"peak_mib": found, "growth": large / small - 1}


def _peak_mib(model: str, photos: Photos) -> float:
    with tempfile.TemporaryDirectory() as folder:
        out = str(Path(folder, "rows.csv"))
        command = [sys.executable, "-m", "mango_grader", "grade", str(photos.folder), "--model", model, "--out", out]
        whole = [sys.executable, "-c", _PEAK, *command, "--workers", "2", "--progress", "none"]
        return int(subprocess.run(whole, stdout=subprocess.PIPE, check=True).stdout) / 1024


def answer_times(model: str, photos: Photos, frames: int) -> dict[str, Any]:
    """Return how soon `stream` answers frames, in ms and in times of decoding each and running the full graph on it.

    Frames are few photos in turn; the time beside an answer is the median of the same photo's.
    """
    grader = Grader.load(model, "cpu")
    full, fit = FullModel(grader.bundle, "cpu"), grader.manifest.preprocess
    encoded = [Path(file).read_bytes() for file in photos.files()[: photos.different]]
    handed, answered = list[float](), list[float]()
    alone: list[list[float]] = [[] for _ in encoded]

    def decode_and_infer(number: int) -> None:
        frame = encoded[number % len(encoded)]
        alone[number % len(encoded)].append(_seconds(lambda: full.every_exit(fit.prepare(frame).pixels[None])) * 1e3)

    def camera() -> Iterator[bytes]:
        for number in range(frames):
            if number % 2:  # Every other frame is decoded and inferred alone after its answer: neither goes first.
                decode_and_infer(number)
            handed.append(time.perf_counter())
            yield encoded[number % len(encoded)]

    for number, _ in enumerate(grader.stream(camera())):
        answered.append(time.perf_counter())
        if not number % 2:
            decode_and_infer(number)
    answers = (np.array(answered) - handed) * 1e3
    beside = answers / [np.median(alone[number % len(encoded)]) for number in range(frames)]
    return {
        "frames": frames,
        "policy": str(grader.policy),
        "answer_ms": _quantiles(answers),
        "decode_and_full_ms": _quantiles(np.concatenate(alone)),
        "answer_to_decode_and_full": _quantiles(beside),
    }


def _quantiles(values: NDArray[np.floating]) -> dict[str, float]:
    return {"p50": float(np.median(values)), "p99": float(np.quantile(values, 0.99))}


def _seconds(action: Callable[[], object]) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def _cpu_ms(action: Callable[[], object]) -> float:
    start = time.thread_time()
    action()
    return (time.thread_time() - start) * 1e3
