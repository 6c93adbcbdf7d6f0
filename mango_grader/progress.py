"""How long work tells where it stands: a bar on a terminal, plain lines elsewhere, JSON lines for programs.

Everything goes to standard error, so that standard output carries results alone.
"""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Literal, Protocol, TextIO

Mode = Literal["auto", "bar", "plain", "json", "none"]


class Task(Protocol):
    """One piece of work of a known length."""

    def advance(self, count: int = 1, **figures: float) -> None:
        """Report `count` more units done, with figures worth showing (a loss, a score)."""


class Progress(Protocol):
    """Where long work reports to."""

    def task(self, name: str, total: int, done: int = 0) -> AbstractContextManager[Task]:
        """Open a task of `total` units of which `done` stand already (a resumed run)."""

    def note(self, message: str, **figures: Any) -> None:
        """Say one line."""


class _SilentTask:
    def advance(self, count: int = 1, **figures: float) -> None:
        pass


class SilentProgress:
    """Says nothing."""

    @contextmanager
    def task(self, name: str, total: int, done: int = 0) -> Iterator[Task]:
        """Open a task that reports nowhere."""
        yield _SilentTask()

    def note(self, message: str, **figures: Any) -> None:
        """Say nothing."""


class _Clock:
    """Elapsed seconds and the estimate of those left, from this process's own units only."""

    def __init__(self, total: int, done: int) -> None:
        self.total, self.done, self._first = total, done, done
        self._start = time.monotonic()

    def advance(self, count: int) -> None:
        self.done += count

    @property
    def elapsed(self) -> float:
        return time.monotonic() - self._start

    @property
    def left(self) -> float | None:
        made = self.done - self._first
        return self.elapsed / made * max(0, self.total - self.done) if made else None


class _LineTask:
    def __init__(self, name: str, total: int, done: int, every: float, out: TextIO, as_json: bool) -> None:
        self._name, self._every, self._out, self._json = name, every, out, as_json
        self._clock = _Clock(total, done)
        self._said = -every

    def advance(self, count: int = 1, **figures: float) -> None:
        self._clock.advance(count)
        now = self._clock.elapsed
        if now - self._said >= self._every or self._clock.done >= self._clock.total:
            self._said = now
            self._say(figures)

    def _say(self, figures: dict[str, float]) -> None:
        clock = self._clock
        if self._json:
            row = {
                "event": "progress", "task": self._name, "done": clock.done, "total": clock.total,
                "elapsed_s": round(clock.elapsed, 3), "left_s": clock.left and round(clock.left, 3), **figures,
            }  # fmt: skip
            print(json.dumps(row), file=self._out, flush=True)
            return
        shown = "".join(f", {key} {value:.4g}" for key, value in figures.items())
        left = "" if clock.left is None else f", {format_seconds(clock.left)} left"
        print(f"{self._name}: {clock.done}/{clock.total}{shown}{left}", file=self._out, flush=True)


class LineProgress:
    """Plain text or JSON lines, at most one each `every` seconds per task."""

    def __init__(self, out: TextIO | None = None, *, as_json: bool = False, every: float = 5.0) -> None:
        self._out = sys.stderr if out is None else out
        self._json, self._every = as_json, every

    @contextmanager
    def task(self, name: str, total: int, done: int = 0) -> Iterator[Task]:
        """Open a task that prints lines."""
        yield _LineTask(name, total, done, self._every, self._out, self._json)

    def note(self, message: str, **figures: Any) -> None:
        """Print one line."""
        text = json.dumps({"event": "note", "message": message, **figures}) if self._json else message
        print(text, file=self._out, flush=True)


class BarProgress:
    """A rich progress bar with an estimate of the time left."""

    def __init__(self) -> None:
        from rich.console import Console

        self._console = Console(stderr=True)

    @contextmanager
    def task(self, name: str, total: int, done: int = 0) -> Iterator[Task]:
        """Open a task that draws a bar."""
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
            TextColumn("{task.fields[figures]}"),
        )  # fmt: skip
        with Progress(*columns, console=self._console) as bar:
            handle = bar.add_task(name, total=total, completed=done, figures="")

            class _BarTask:
                def advance(self, count: int = 1, **figures: float) -> None:
                    shown = "  ".join(f"{key} {value:.4g}" for key, value in figures.items())
                    bar.update(handle, advance=count, figures=shown)

            yield _BarTask()

    def note(self, message: str, **figures: Any) -> None:
        """Print one line above the bar."""
        self._console.print(message, highlight=False, markup=False)


class LabelledProgress:
    """Says of whom another reporter tells, where several do."""

    def __init__(self, label: str, progress: Progress) -> None:
        self._label, self._progress = label, progress

    def task(self, name: str, total: int, done: int = 0) -> AbstractContextManager[Task]:
        """Open a task under its label."""
        return self._progress.task(f"{self._label} {name}", total, done)

    def note(self, message: str, **figures: Any) -> None:
        """Say one line under the label."""
        self._progress.note(f"{self._label} {message}", **figures)


def make_progress(mode: Mode = "auto") -> Progress:
    """Return the reporter for `mode`; "auto" is a bar on a terminal and plain lines elsewhere."""
    if mode == "auto":
        mode = "bar" if sys.stderr.isatty() else "plain"
    if mode == "bar":
        return BarProgress()
    return SilentProgress() if mode == "none" else LineProgress(as_json=mode == "json")


def format_seconds(seconds: float) -> str:
    """Format a duration: 42 s, 3 min 05 s, 2 h 10 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"
