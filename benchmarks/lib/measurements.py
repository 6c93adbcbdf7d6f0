"""The cells of a benchmark: each measured once and kept at once, so that a run cut short goes on where it stopped."""

import json
import multiprocessing
import os
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import click
import torch

from benchmarks.lib.conditions import conditions
from mango_grader.files import read_json, write_json
from mango_grader.workflow.comparison.processes import end_with_parent

RESULTS = Path(__file__).parents[1] / "results"
F = TypeVar("F", bound=Callable[..., Any])


class CellFailedError(Exception):
    """A cell came to nothing for the reason given."""


@dataclass(frozen=True)
class Cell:
    """One measurement: its name, and what returns its figures (JSON-safe); it travels to another process.

    What raises instead is told, kept as failed, stops no other cell, and is tried again with --resume.
    """

    name: str
    measure: Callable[[], Any]


@dataclass
class Ledger:
    """A benchmark's JSON file: what was asked, under which conditions, every cell's figures, and their summary.

    setup: what all cells have in common. summarise: from figures by cell name to what the page quotes; it may take its
    time, so it is made once, by `save`, and null until then. failed: why cells came to nothing.
    """

    benchmark: str
    out: Path
    setup: Mapping[str, Any]
    summarise: Callable[[Mapping[str, Any]], Any]
    conditions: list[dict[str, Any]] = field(default_factory=list)
    cells: dict[str, dict[str, Any]] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)

    def open(self, resume: bool) -> None:
        """Read what is done already; raises click.UsageError where going on would mix or lose results."""
        if not self.out.exists():
            return
        if not resume:
            raise click.UsageError(f"{self.out} exists: go on with --resume, or name another --out")
        kept = read_json(self.out)
        if kept["setup"] != _json_safe(self.setup):
            raise click.UsageError(f"{self.out} was measured with another setup: {kept['setup']}; name another --out")
        self.conditions, self.cells = kept["conditions"], kept["cells"]

    @property
    def figures(self) -> dict[str, Any]:
        """Figures of the cells done, by name."""
        return {name: cell["figures"] for name, cell in self.cells.items()}

    def add(self, name: str, figures: Any, seconds: float, under: dict[str, Any]) -> None:
        """Keep one more cell, on disk too."""
        if under not in self.conditions:
            self.conditions.append(under)
        place = self.conditions.index(under)
        self.cells[name] = {"figures": _json_safe(figures), "seconds": round(seconds, 3), "conditions": place}
        self._write(None)

    def save(self) -> Any:
        """Write the file, summed up; return the summary."""
        summary = self.summarise(self.figures)
        self._write(summary)
        return summary

    def _write(self, summary: Any) -> None:
        head = {"benchmark": self.benchmark, "setup": self.setup, "conditions": self.conditions}
        write_json(self.out, _json_safe({**head, "summary": summary, "failed": self.failed, "cells": self.cells}))


def measure_cells(ledger: Ledger, cells: Sequence[Cell], minutes: float, jobs: int) -> None:
    """Measure what the ledger lacks, `jobs` cells side by side, in order; begin none after `minutes`.

    Raises click.ClickException if the system killed a process.
    """
    threads = max(1, min(torch.get_num_threads(), (os.cpu_count() or 1) // jobs))  # OMP_NUM_THREADS counts
    under = {**conditions(), "jobs": jobs, "threads_per_job": threads}
    left = [cell for cell in cells if cell.name not in ledger.cells]
    end = time.monotonic() + 60 * minutes
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, spawn, _begin, (threads,)) as pool:
        running: dict[Future[tuple[Any, float]], Cell] = {}
        while running or (left and time.monotonic() < end):
            while left and len(running) < jobs and time.monotonic() < end:
                cell = left.pop(0)
                running[pool.submit(_timed, cell.measure)] = cell
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                cell = running.pop(future)
                try:
                    figures, seconds = future.result()
                except BrokenProcessPool as error:
                    raise click.ClickException(f"{cell.name}, or a cell beside it: {error} Try --resume.") from error
                except Exception as error:
                    ledger.failed[cell.name] = f"{type(error).__name__}: {error}"
                    click.echo(f"failed: {cell.name}: {error}")
                else:
                    ledger.add(cell.name, figures, seconds, under)
                    done = sum(each.name in ledger.cells for each in cells)
                    click.echo(f"{done} of {len(cells)} cells: {cell.name}, {seconds:.0f} s")


def _begin(threads: int) -> None:
    torch.set_num_threads(threads)
    end_with_parent()


def _timed(measure: Callable[[], Any]) -> tuple[Any, float]:
    start = time.monotonic()
    try:
        return measure(), time.monotonic() - start
    except CellFailedError:
        raise
    except Exception:
        traceback.print_exc()
        raise


def _json_safe(data: Any) -> Any:
    """Return plain data, six digits of each number: more would only make the files longer."""
    return json.loads(json.dumps(data, default=float), parse_float=lambda text: float(f"{float(text):.6g}"))


def cell_options(benchmark: str, minutes: float) -> Callable[[F], F]:
    """Return the decorator that gives a script's command --minutes, --jobs, --resume and --out."""

    def decorate(command: F) -> F:
        for option in reversed(
            (
                click.option(
                    "--minutes",
                    type=float,
                    default=minutes,
                    show_default=True,
                    help="Begin no cell later.",
                ),
                click.option("--jobs", type=click.IntRange(1), default=2, show_default=True, help="Cells at a time."),
                click.option("--resume", is_flag=True, help="Go on with what --out holds."),
                click.option("--out", type=click.Path(path_type=Path), default=RESULTS / f"{benchmark}.json"),
            )
        ):
            command = option(command)
        return command

    return decorate
