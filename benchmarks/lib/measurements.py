"""A benchmark as a list of measurements: each is made once and saved at once, so that a killed run can be resumed."""

import csv
import io
import json
import multiprocessing
import os
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.lib.conditions import conditions
from mango_grader.executors.local import end_with_parent
from mango_grader.files import read_json, write_text

RESULTS = Path(__file__).parents[1] / "results"
Rows = Sequence[Mapping[str, Any]]
"""A summary: one row a method, network or claim; values may be nested."""


class MeasurementFailedError(Exception):
    """A measurement failed for the reason given."""


@dataclass(frozen=True)
class Measurement:
    """One measurement; it travels to another process.

    An exception is reported and recorded as a failure; it stops no other measurement, and --resume tries again.

    Attributes:
        name: what it is called in the file.
        measure: returns its figures, JSON-safe.
    """

    name: str
    measure: Callable[[], Any]


@dataclass
class Ledger:
    """What a benchmark found: measurements in a JSON file, one a line, and their summary in a CSV file beside it.

    Attributes:
        benchmark: the script's name.
        out: the JSON file.
        setup: what all measurements have in common.
        summarise: makes the rows that docs/evidence.md quotes, from figures by name of measurement.
        conditions: hardware, versions and commit; measurements name theirs by index.
        images: sets of test images, {path: group}, each kept once; figures that hold "images" name theirs by index.
        measurements: figures, seconds and conditions by name.
        failed: why measurements failed, by name.
    """

    benchmark: str
    out: Path
    setup: Mapping[str, Any]
    summarise: Callable[[Mapping[str, Any]], Rows]
    conditions: list[dict[str, Any]] = field(default_factory=list)
    images: list[dict[str, str]] = field(default_factory=list)
    measurements: dict[str, dict[str, Any]] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)

    def open(self, resume: bool) -> None:
        """Read what is done already; raises click.UsageError where going on would mix or lose results."""
        if not self.out.exists():
            return
        if not resume:
            raise click.UsageError(f"{self.out} exists: continue with --resume, or name another --out")
        kept = read_json(self.out)
        if "measurements" not in kept:
            raise click.UsageError(f"{self.out} was written by an earlier version; name another --out")
        if kept["setup"] != _json_safe(self.setup):
            raise click.UsageError(f"{self.out} was measured with another setup: {kept['setup']}; name another --out")
        self.conditions, self.images, self.measurements = kept["conditions"], kept["images"], kept["measurements"]

    @property
    def figures(self) -> dict[str, Any]:
        """Figures of the measurements done, by name."""
        return figures_of({"images": self.images, "measurements": self.measurements})

    def add(self, name: str, figures: Any, seconds: float, under: dict[str, Any]) -> None:
        """Save one more measurement."""
        figures = _json_safe(figures)
        if isinstance(figures, dict) and "images" in figures:
            figures["images"] = _index(self.images, figures["images"])
        place = _index(self.conditions, under)
        self.measurements[name] = {"figures": figures, "seconds": round(seconds, 3), "conditions": place}
        self._write()

    def save(self) -> Rows:
        """Write both files; return the summary."""
        self._write()
        rows = self.summarise(self.figures)
        write_text(self.out.with_suffix(".csv"), _csv(rows))
        return rows

    def _write(self) -> None:
        whole = {
            "benchmark": self.benchmark,
            "setup": self.setup,
            "conditions": self.conditions,
            "images": self.images,
            "failed": self.failed,
            "measurements": self.measurements,
        }
        write_text(self.out, _json(_json_safe(whole)))


def figures_of(kept: Mapping[str, Any]) -> dict[str, Any]:
    """Return the figures of a benchmark's JSON file by name of measurement, sets of images put back into them."""

    def whole(figures: Any) -> Any:
        if isinstance(figures, dict) and "images" in figures:
            return {**figures, "images": kept["images"][figures["images"]]}
        return figures

    return {name: whole(measurement["figures"]) for name, measurement in kept["measurements"].items()}


def as_text(correct: NDArray[np.bool_]) -> str:
    """Return which answers are correct, (N,), as results keep them: "1" for each that is, else "0"."""
    return "".join("1" if each else "0" for each in correct)


def measure_all(ledger: Ledger, measurements: Sequence[Measurement], minutes: float, jobs: int) -> None:
    """Measure what the ledger lacks, `jobs` at a time, in order; start none after `minutes`.

    Raises click.ClickException if the system killed a process.
    """
    threads = max(1, min(torch.get_num_threads(), (os.cpu_count() or 1) // jobs))  # OMP_NUM_THREADS counts
    under = {**conditions(), "jobs": jobs, "threads_per_job": threads}
    left = [each for each in measurements if each.name not in ledger.measurements]
    end = time.monotonic() + 60 * minutes
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, spawn, _begin, (threads,)) as pool:
        running: dict[Future[tuple[Any, float]], str] = {}
        while running or (left and time.monotonic() < end):
            while left and len(running) < jobs and time.monotonic() < end:
                following = left.pop(0)
                running[pool.submit(_timed, following.measure)] = following.name
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                name = running.pop(future)
                try:
                    figures, seconds = future.result()
                except BrokenProcessPool as error:
                    message = f"{name}, or a measurement beside it: {error} Try --resume."
                    raise click.ClickException(message) from error
                except Exception as error:
                    ledger.failed[name] = f"{type(error).__name__}: {error}"
                    click.echo(f"failed: {name}: {error}")
                else:
                    ledger.add(name, figures, seconds, under)
                    done = sum(each.name in ledger.measurements for each in measurements)
                    click.echo(f"{done} of {len(measurements)} measurements: {name}, {seconds:.0f} s")


def _begin(threads: int) -> None:
    torch.set_num_threads(threads)
    end_with_parent()


def _timed(measure: Callable[[], Any]) -> tuple[Any, float]:
    start = time.monotonic()
    try:
        return measure(), time.monotonic() - start
    except MeasurementFailedError:
        raise
    except Exception:
        traceback.print_exc()
        raise


def _index(known: list[Any], value: Any) -> int:
    """Return the place of `value` in `known`, to which it is added if it is new."""
    if value not in known:
        known.append(value)
    return known.index(value)


def _json_safe(data: Any) -> Any:
    """Return plain data, six digits of each number: more would only make the files longer."""
    return json.loads(json.dumps(data, default=float), parse_float=lambda text: float(f"{float(text):.6g}"))


def _json(data: Mapping[str, Any]) -> str:
    """Return an object with one line for each entry of the objects and lists in it."""

    def text(value: Any) -> str:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))

    def lines(value: Any) -> str:
        if isinstance(value, dict) and value:
            return "{\n" + ",\n".join(f"{text(key)}: {text(each)}" for key, each in value.items()) + "\n}"
        if isinstance(value, list) and value:
            return "[\n" + ",\n".join(map(text, value)) + "\n]"
        return text(value)

    return "{\n" + ",\n".join(f"{text(key)}: {lines(value)}" for key, value in data.items()) + "\n}\n"


def _csv(rows: Rows) -> str:
    """Return rows as CSV: nested values have a column each, `exits.1.accuracy.mean`."""
    flat = [dict(_flat(row)) for row in _json_safe(rows)]
    columns = dict.fromkeys(column for row in flat for column in row)
    file = io.StringIO()
    writer = csv.DictWriter(file, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(flat)
    return file.getvalue()


def _flat(row: Mapping[str, Any], start: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in row.items():
        name = f"{start}{key}"
        if isinstance(value, dict):
            yield from _flat(value, f"{name}.")
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            yield from _flat({str(place): each for place, each in enumerate(value, start=1)}, f"{name}.")
        else:
            yield name, " ".join(map(str, value)) if isinstance(value, list) else value
