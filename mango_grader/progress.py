"""Progress of long work: a bar on a terminal, plain lines elsewhere, JSON lines for programs.

Everything goes to standard error, so that standard output holds results only.
"""

import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from time import monotonic
from typing import Any, Literal, Protocol, TextIO

from mango_grader.files import to_json

_UNSURE = 0.5  # seconds, too few for an estimate

Mode = Literal["auto", "bar", "plain", "json", "none"]


class Task(Protocol):
    """One piece of work of a known length."""

    def advance(self, count: int = 1, *, left: float | None = None, **figures: float) -> None:
        """Report progress.

        Args:
            count: number of units that were done since the last report.
            left: estimated seconds to the end, if the caller knows better than the time per unit so far.
            **figures: worth showing, such as a loss or a score.
        """


class Progress(Protocol):
    """Reports the progress of long work."""

    def task(self, name: str, total: int, done: int = 0) -> AbstractContextManager[Task]:
        """Open a task.

        Args:
            name: of the task.
            total: number of units; 0 where nobody knows when it ends.
            done: number of units that were done before, in a resumed run.
        """

    def note(self, message: str, **figures: Any) -> None:
        """Report one line.

        Args:
            message: the line.
            **figures: for programs.
        """


class _SilentTask:
    def advance(self, count: int = 1, *, left: float | None = None, **figures: float) -> None:
        pass


class SilentProgress:
    """Reports nothing."""

    @contextmanager
    def task(self, name: str, total: int, done: int = 0) -> Iterator[Task]:
        """Open a task that reports nothing."""
        yield _SilentTask()

    def note(self, message: str, **figures: Any) -> None:
        """Report nothing."""


class _Clock:
    """Elapsed seconds, and an estimate of the seconds left from the units of this process only.

    The first unit is slower than the others, for it waits for imports, threads and caches. The estimate is made of the
    units after it, as soon as they have taken half a second.
    """

    def __init__(self, total: int, done: int) -> None:
        self.total, self.done = total, done
        self._start = monotonic()
        self._warm: tuple[int, float] | None = None  # units done and seconds gone at the first report
        self._told: float | None = None

    def advance(self, count: int, left: float | None) -> None:
        self.done += count
        self._told = left
        if self._warm is None:
            self._warm = self.done, self.elapsed

    @property
    def elapsed(self) -> float:
        return monotonic() - self._start

    @property
    def left(self) -> float | None:
        if self._told is not None:
            return self._told
        if not self.total:
            return None
        if self.done >= self.total:
            return 0.0
        units, seconds = self._warm or (self.done, self.elapsed)
        made, took = self.done - units, self.elapsed - seconds
        return took / made * (self.total - self.done) if made and took >= _UNSURE else None


class _LineTask:
    def __init__(self, name: str, total: int, done: int, every: float, out: TextIO, as_json: bool) -> None:
        self._name, self._every, self._out, self._json = name, every, out, as_json
        self._clock = _Clock(total, done)
        self._said = -every
        self._estimated = False

    def advance(self, count: int = 1, *, left: float | None = None, **figures: float) -> None:
        self._clock.advance(count, left)
        now = self._clock.elapsed
        first = not self._estimated and self._clock.left is not None
        last = 0 < self._clock.total <= self._clock.done
        if first or last or now - self._said >= self._every:
            self._estimated = self._estimated or first
            self._said = now
            self._say(figures)

    def _say(self, figures: dict[str, float]) -> None:
        clock = self._clock
        if self._json:
            row = {
                "event": "progress", "task": self._name, "done": clock.done, "total": clock.total or None,
                "elapsed_s": round(clock.elapsed, 3), "left_s": clock.left and round(clock.left, 3), **figures,
            }  # fmt: skip
            print(to_json(row), file=self._out, flush=True)
            return
        shown = "".join(f", {key} {value:.4g}" for key, value in figures.items())
        left = "" if clock.left is None else f", {format_seconds(clock.left)} left"
        done = f"{clock.done}/{clock.total}" if clock.total else f"{clock.done}"
        print(f"{self._name}: {done}{shown}{left}", file=self._out, flush=True)


class LineProgress:
    """Prints plain text or JSON lines.

    Args:
        out: file to print to; None is standard error.
        as_json: whether to print JSON.
        every: least number of seconds between two lines of a task.
    """

    def __init__(self, out: TextIO | None = None, *, as_json: bool = False, every: float = 5.0) -> None:
        self._out = sys.stderr if out is None else out
        self._json, self._every = as_json, every

    @contextmanager
    def task(self, name: str, total: int, done: int = 0) -> Iterator[Task]:
        """Open a task that prints lines."""
        yield _LineTask(name, total, done, self._every, self._out, self._json)

    def note(self, message: str, **figures: Any) -> None:
        """Print one line."""
        text = to_json({"event": "note", "message": message, **figures}) if self._json else message
        print(text, file=self._out, flush=True)


class BarProgress:
    """Draws a progress bar with an estimate of the time left."""

    def __init__(self) -> None:
        from rich.console import Console

        self._console = Console(stderr=True)

    @contextmanager
    def task(self, name: str, total: int, done: int = 0) -> Iterator[Task]:
        """Open a task that draws a bar."""
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

        columns = (
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[left]}"),
            TextColumn("{task.fields[figures]}"),
        )  # fmt: skip
        clock = _Clock(total, done)
        with Progress(*columns, console=self._console) as bar:
            handle = bar.add_task(name, total=total or None, completed=done, left="", figures="")

            class _BarTask:
                def advance(self, count: int = 1, *, left: float | None = None, **figures: float) -> None:
                    clock.advance(count, left)
                    shown = "  ".join(f"{key} {value:.4g}" for key, value in figures.items())
                    remaining = "" if clock.left is None else f"{format_seconds(clock.left)} left"
                    bar.update(handle, advance=count, left=remaining, figures=shown)

            yield _BarTask()

    def note(self, message: str, **figures: Any) -> None:
        """Print one line above the bar."""
        self._console.print(message, highlight=False, markup=False)


class LabelledProgress:
    """Adds a label to what is reported, where several processes or runs report to one place.

    Args:
        label: put before names and messages.
        progress: where to report to.
    """

    def __init__(self, label: str, progress: Progress) -> None:
        self._label, self._progress = label, progress

    def task(self, name: str, total: int, done: int = 0) -> AbstractContextManager[Task]:
        """Open a task with the label."""
        return self._progress.task(f"{self._label} {name}", total, done)

    def note(self, message: str, **figures: Any) -> None:
        """Report one line with the label."""
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
