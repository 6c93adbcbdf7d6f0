"""Delivery: takes decisions from the log to a sink, in a thread of its own, so that no sink ever stops the line."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Protocol

from mango_grader.errors import MangoError
from mango_grader.line.decision import Decision
from mango_grader.line.sinks.base import Figure, RunInfo, Sink
from mango_grader.text import counted, one_line

BATCH = 64
"""Most decisions that are read from the log, and held in memory, at a time."""

_SHORTEST_PAUSE, _LONGEST_PAUSE, _LAST_PAUSE = 0.1, 30.0, 1.0  # seconds; the last one while somebody waits for the end


class DecisionReader(Protocol):
    """Reads decisions from the log on disk; each delivery has a reader of its own."""

    def after(self, sequence: int) -> Iterator[Decision]:
        """Yield the decisions that the log holds now, in their order, one at a time from the disk.

        Args:
            sequence: number of the last decision to leave out: the last one that was yielded, after a failure an
                earlier one.
        """


@dataclass(frozen=True)
class DeliveryState:
    """How far one sink has come.

    Attributes:
        name: of the sink.
        actuator: whether it moves fruit.
        position: sequence number of the last decision that has surely arrived; with an actuator, or was missed.
        waiting: number of decisions that are in the log and have not arrived yet.
        missed: number of decisions whose due time passed before an actuator could send them.
        failures: number of attempts that failed.
        error: why the last of them failed; "" if there was none.
        failing: whether the last attempt failed.
    """

    name: str
    actuator: bool
    position: int = 0
    waiting: int = 0
    missed: int = 0
    failures: int = 0
    error: str = ""
    failing: bool = False

    def figures(self) -> tuple[Figure, ...]:
        """Return the same as figures, labelled with the sink's name."""
        sink = {"sink": self.name}
        waiting = Figure("sink_waiting", "Decisions that have not arrived at a sink yet.", self.waiting, False, sink)
        failing = Figure("sink_failing", "1 if a sink's last attempt failed.", self.failing, False, sink)
        failures = Figure("sink_failures", "Attempts of a sink that failed.", self.failures, True, sink)
        missed = Figure("sink_missed", "Decisions that came too late for an actuator.", self.missed, True, sink)
        return (waiting, failing, failures, *([missed] if self.actuator else []))

    def __str__(self) -> str:
        missed = f", {self.missed:,} missed" if self.actuator else ""
        why = f" ({self.error})" if self.failing else ""
        return f"{self.name}: {self.position - self.missed:,} delivered{missed}, {self.waiting:,} waiting{why}"


class Delivery:
    """Delivers the decisions of one run to one sink.

    What a sink fails to take is tried again, after a pause that grows up to 30 seconds; an actuator's is always short.
    Nothing waits in memory but the current batch: decisions are read from the log when the sink is ready for them. How
    far it has come is kept by the sink, so that the next run of the same log delivers what is left.

    Args:
        sink: not yet opened; it is used by the thread of this delivery alone.
        reader: of the log, of this delivery alone.
        run: whose decisions they are.
    """

    def __init__(self, sink: Sink, reader: DecisionReader, run: RunInfo) -> None:
        self._sink, self._reader, self._run = sink, reader, run
        self._changed = threading.Condition()
        self._state = DeliveryState(sink.name, sink.actuator)
        self._announced, self._news = 0, True
        self._draining = self._closing = False
        self._thread = threading.Thread(target=self._work, name=f"sink {sink.name}", daemon=True)

    def start(self) -> None:
        """Open the sink and deliver what the log holds already, in the thread of this delivery."""
        self._thread.start()

    def announce(self, sequence: int) -> None:
        """Say that the log holds all decisions up to one, safely on the disk.

        Args:
            sequence: its number.
        """
        with self._changed:
            self._announced, self._news = max(self._announced, sequence), True
            self._changed.notify_all()

    @property
    def state(self) -> DeliveryState:
        """How far the sink has come."""
        with self._changed:
            waiting = max(self._announced - self._state.position, 0)
            return replace(self._state, waiting=waiting, missed=self._sink.missed)

    def drain(self, timeout: float) -> int:
        """Wait until everything has arrived; return the number of decisions that have not.

        Args:
            timeout: seconds to wait at most.
        """
        self.hurry()
        with self._changed:
            self._changed.wait_for(lambda: self._state.position >= self._announced, timeout)
            return max(self._announced - self._state.position, 0)

    def hurry(self) -> None:
        """Make pauses short: somebody is about to wait for the end."""
        with self._changed:
            self._draining = True
            self._changed.notify_all()

    def stop(self) -> None:
        """Ask the thread to end, without waiting for it."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()

    def close(self, timeout: float = 5.0) -> None:
        """Close the sink; what has not arrived is delivered by the next run of the same log.

        Args:
            timeout: seconds to wait for a sink that hangs; it is left behind then.
        """
        self.stop()
        if self._thread.is_alive():
            self._thread.join(timeout)

    def _work(self) -> None:
        opened, pause = False, _SHORTEST_PAUSE
        try:
            while self._needed():
                try:
                    if not opened:
                        self._sink.open(self._run)
                        opened = True
                        self._reached(self._sink.position())
                    self._deliver()
                except Exception as error:  # A sink may be anybody's and raise anything; the line goes on.
                    if opened and not self._sink.actuator:
                        opened = False
                        self._shut()
                    self._failed(error)
                    self._pause(pause)
                    pause = _SHORTEST_PAUSE if self._sink.actuator else min(2 * pause, _LONGEST_PAUSE)
                else:
                    pause = _SHORTEST_PAUSE
        finally:
            if opened:
                self._shut()

    def _needed(self) -> bool:
        """Wait for something to do; return whether to do it, or to end."""
        with self._changed:
            self._changed.wait_for(lambda: self._news or self._closing)
            self._news = False
            return not self._closing

    def _deliver(self) -> None:
        while not self._closing:
            batch = list(islice(self._reader.after(self._state.position), BATCH))
            if batch:
                self._sink.deliver(batch)
                self._reached(batch[-1].sequence)
            if len(batch) < BATCH:
                return

    def _shut(self) -> None:
        with suppress(Exception):  # It was to be closed because it fails.
            self._sink.close()

    def _reached(self, position: int) -> None:
        with self._changed:
            self._state = replace(self._state, position=position, failing=False)
            self._changed.notify_all()

    def _failed(self, error: Exception) -> None:
        text = one_line(str(error) if isinstance(error, MangoError) else f"{type(error).__name__}: {error}")
        with self._changed:
            self._news = True
            self._state = replace(self._state, failures=self._state.failures + 1, error=text, failing=True)
            self._changed.notify_all()

    def _pause(self, seconds: float) -> None:
        """Wait; not as long once somebody waits for the end."""
        began = time.monotonic()
        with self._changed:
            self._changed.wait_for(lambda: self._closing or self._draining, seconds)
            if self._draining and not self._closing:
                left = min(seconds, _LAST_PAUSE) - (time.monotonic() - began)
                self._changed.wait_for(lambda: self._closing, max(left, 0))


class Deliveries:
    """The deliveries of one run: each sink has a thread and a place in the log of its own.

    Args:
        sinks: with different names.
        reader: makes a reader of the log.
        run: whose decisions they are; its folder gets one folder for each sink, by its name.

    Example:
        >>> import tempfile
        >>> from mango_grader.line.sinks.jsonl import JsonlSettings
        >>> from mango_grader.line.sinks.base import Moment
        >>> class Nothing:  # `LogFolder.reader` makes readers of a log
        ...     def after(self, sequence):
        ...         return iter(())
        >>> folder = tempfile.mkdtemp()
        >>> run = RunInfo("r1", ("A", "B"), folder, now=lambda: Moment(0.0))
        >>> with Deliveries([JsonlSettings(f"{folder}/fruit.jsonl").build()], Nothing, run) as deliveries:
        ...     deliveries.drain(timeout=10)
        0
    """

    def __init__(self, sinks: Sequence[Sink], reader: Callable[[], DecisionReader], run: RunInfo) -> None:
        self._each = [Delivery(sink, reader(), replace(run, folder=str(Path(run.folder, sink.name)))) for sink in sinks]

    def __enter__(self) -> "Deliveries":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        """Open all sinks, each in its thread."""
        for delivery in self._each:
            delivery.start()

    def announce(self, sequence: int) -> None:
        """Say that the log holds all decisions up to one, safely on the disk.

        Args:
            sequence: its number.
        """
        for delivery in self._each:
            delivery.announce(sequence)

    def states(self) -> tuple[DeliveryState, ...]:
        """Return how far each sink has come."""
        return tuple(delivery.state for delivery in self._each)

    def figures(self) -> list[Figure]:
        """Return how far each sink has come, as figures."""
        return [figure for state in self.states() for figure in state.figures()]

    def drain(self, timeout: float) -> int:
        """Wait until everything has arrived everywhere; return the number of deliveries that are still open.

        Args:
            timeout: seconds to wait at most, for all sinks together.
        """
        for delivery in self._each:
            delivery.hurry()
        end = time.monotonic() + timeout
        return sum(delivery.drain(max(end - time.monotonic(), 0)) for delivery in self._each)

    def close(self) -> None:
        """Close all sinks."""
        for delivery in self._each:
            delivery.stop()
        for delivery in self._each:
            delivery.close()

    def __str__(self) -> str:
        return "; ".join(map(str, self.states())) or counted(0, "sink")
