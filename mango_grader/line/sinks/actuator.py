"""What sinks that move fruit share: slots that a PLC acknowledges, a heartbeat, and nothing that comes too late.

The PLC holds eight slots. The line fills them from slot 0 in the order of the decisions, each with its sequence number
last, and fills them anew once all are settled. The PLC does in each of its cycles, for every slot: where the sequence
number differs from its acknowledgement, take the result (unless the number is 0) and copy the number.
"""

import asyncio
import threading
import time
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NoReturn, TypeVar

from mango_grader.errors import SinkError
from mango_grader.line.decision import Decision
from mango_grader.line.sinks.base import Moment, RunInfo, SinkSettings, due_passed
from mango_grader.line.sinks.cursor import Cursor, Mark
from mango_grader.line.sinks.plc import SLOTS, ErrorCode, LineStatus, Port, to_result
from mango_grader.ranges import Positive
from mango_grader.text import one_line

T = TypeVar("T")

_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0  # seconds between attempts to connect
_POLL = 0.005  # seconds between two looks at the acknowledgements
_OVERRUN_SHOWN = 2.0  # seconds for which the PLC is told of a decision that came too late


@dataclass(frozen=True, kw_only=True)
class ActuatorSettings(SinkSettings):
    """Settings of every sink that moves fruit.

    Attributes:
        outlets: names of the outlets in the PLC's order: the first has number 1. An outlet that is not named, and a
            fruit without one, is number 0, the PLC's default.
        heartbeat_ms: milliseconds between two heartbeats, whether fruit comes or not.
        acknowledge_ms: milliseconds after which a result that was not acknowledged counts as an error.
        timeout_ms: milliseconds after which an answer of the PLC is no longer waited for, and the connection is made
            again.
        stalled_ms: milliseconds without a new frame after which the line is not ready.
        fresh_ms: milliseconds after the decision line for which a decision without a due time may be sent.
    """

    outlets: tuple[str, ...] = ()
    heartbeat_ms: Positive = 200.0
    acknowledge_ms: Positive = 250.0
    timeout_ms: Positive = 500.0
    stalled_ms: Positive = 2000.0
    fresh_ms: Positive = 1000.0


@dataclass
class ActuatorCounts:
    """What happened to the decisions of an actuator.

    Attributes:
        sent: decisions that the PLC acknowledged.
        unacknowledged: times that the PLC did not acknowledge in time.
        connections: times that a connection was made.
    """

    sent: int = 0
    unacknowledged: int = 0
    connections: int = 0


class _Round:
    """The decisions that lie in the slots, from slot 0; None where one is settled, and where there is none.

    Its sequence numbers stay as they were written, so that the PLC sees no change when a decision is settled.
    """

    def __init__(self, decisions: Sequence[Decision | None] = ()) -> None:
        self.decisions = [*decisions, *[None] * (SLOTS - len(decisions))]
        self.sequences = [0 if each is None else each.sequence for each in self.decisions]

    @property
    def open(self) -> bool:
        """Whether a decision is not settled yet."""
        return any(each is not None for each in self.decisions)


class Actuator:
    """A sink that moves fruit, over any `Port`. It is at least once; repeats have the same sequence number.

    A thread of its own connects, again and again if it must, and writes the heartbeat. A result stays in its slot until
    the PLC takes it or its fruit is at its outlet; then it is taken back and counts as missed.

    Args:
        port: to the PLC.
        settings: of the sink.
    """

    actuator = True

    def __init__(self, port: Port, settings: ActuatorSettings) -> None:
        self.name, self.missed = settings.name, 0
        self.counts = ActuatorCounts()
        self._port = port
        self._settings = settings
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread
        self._up = False
        self._wake = asyncio.Event()
        self._round = _Round()
        self._settled: set[int] = set()
        self._position = self._written = self._heartbeat = 0
        self._reason = "not connected yet"
        self._error = ErrorCode.NONE
        self._late_at = -_OVERRUN_SHOWN
        self._closing = False
        self._keeper: asyncio.Task[None]
        self._run: RunInfo
        self._cursor: Cursor
        self._seen: tuple[Moment, float]

    def open(self, run: RunInfo) -> None:
        """Begin to connect."""
        self._run, self._cursor = run, Cursor(run)
        self._position = (self._cursor.read() or Mark()).sequence
        self._seen = (run.now(), time.monotonic())
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=f"PLC {self.name}", daemon=True)
        self._thread.start()

        async def start() -> None:
            self._keeper = asyncio.create_task(self._keep())

        self._wait_for(start())

    def deliver(self, decisions: Sequence[Decision]) -> None:
        """Send decisions and wait until each is acknowledged, or its fruit is at its outlet.

        Fruit that did not pass the decision line are left out.

        Args:
            decisions: one or more, in the order of their sequence numbers.

        Raises:
            SinkError: the PLC cannot be reached or does not acknowledge; the same decisions may be delivered again.
        """
        self._wait_for(self._deliver([each for each in decisions if each.counted]))
        self._cursor.write(Mark(decisions[-1].sequence))
        self._position = decisions[-1].sequence
        self._settled.clear()

    def position(self) -> int:
        """Return the sequence number of the last decision that was acknowledged or missed, 0 if there is none."""
        return self._position

    def close(self) -> None:
        """Take back what was not acknowledged, tell the PLC that the line is not ready, and disconnect."""
        if self._loop is None:
            return
        self._wait_for(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._loop = None

    def _wait_for(self, work: Coroutine[Any, Any, T]) -> T:
        if self._loop is None:
            work.close()
            raise SinkError("not connected")
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _stop(self) -> None:
        self._closing = True
        self._wake.set()
        await self._keeper  # it ends by itself: a cancellation can be lost in the libraries below
        with suppress(SinkError):
            if self._up:
                await self._timed(self._port.write_sequences([0] * SLOTS))
                await self._timed(self._port.write_status(self._status(ready=False)))
        await self._shut()

    async def _shut(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(self._settings.timeout_ms / 1000):
                await self._port.close()

    # The connection and its heartbeat.

    async def _keep(self) -> None:
        """Connect, write heartbeats until something fails, and connect again."""
        pause = _FIRST_PAUSE
        while True:
            try:
                await self._timed(self._port.connect())
                self.counts.connections += 1
                await self._greet()
                self._up, pause = True, _FIRST_PAUSE
                while not self._wake.is_set():
                    await self._timed(self._port.write_status(self._status(ready=not self._stalled)))
                    await self._sleep(self._settings.heartbeat_ms / 1000)
            except Exception as error:  # whatever it is, the PLC sees no heartbeat, and it is tried again
                self._up, self._reason = False, one_line(str(error))
            if self._closing:
                return
            self._wake.clear()
            await self._shut()
            await self._sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    async def _sleep(self, seconds: float) -> None:
        """Sleep, until the connection breaks or the sink is closed."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._wake.wait()

    async def _greet(self) -> None:
        """Empty all slots, once it is known what was taken of them; wait until the PLC has seen that."""
        self._settle(await self._timed(self._port.read_acknowledgements()))
        self._round = _Round()
        await self._timed(self._port.write_sequences([0] * SLOTS))
        while any(await self._timed(self._port.read_acknowledgements())):
            self._error = ErrorCode.NOT_ACKNOWLEDGED
            await self._timed(self._port.write_status(self._status(ready=False)))
            await self._sleep(min(self._settings.heartbeat_ms / 1000, 0.02))
            self._reason = "the PLC's program does not acknowledge"
            if self._closing:
                raise SinkError(self._reason)
        self._error = ErrorCode.NONE

    def _status(self, ready: bool) -> LineStatus:
        self._heartbeat = (self._heartbeat + 1) % 65536
        overrun = time.monotonic() - self._late_at < _OVERRUN_SHOWN
        error = ErrorCode.NO_FRAMES if self._stalled else self._error
        if error is ErrorCode.NONE and overrun:
            error = ErrorCode.TOO_LATE
        return LineStatus(self._heartbeat, ready, overrun, error, self._written, self.missed)

    async def _timed(self, work: Coroutine[Any, Any, T]) -> T:
        """Wait for an answer of the PLC; without one, the connection is down."""
        connection = self.counts.connections
        try:
            async with asyncio.timeout(self._settings.timeout_ms / 1000):
                return await work
        except (SinkError, TimeoutError) as error:
            reason = one_line(str(error)) or "the PLC does not answer"
            if connection == self.counts.connections:
                self._up, self._reason = False, reason
                self._wake.set()
            raise SinkError(reason) from error

    # The clock: between two frames, and after the last, it goes on by itself.

    def _now(self) -> Moment:
        moment, now = self._run.now(), time.monotonic()
        if moment != self._seen[0]:
            self._seen = (moment, now)
        return Moment(moment.time + now - self._seen[1], moment.ticks, moment.last)

    @property
    def _stalled(self) -> bool:
        now = self._now()
        since = time.monotonic() - self._seen[1] if now.last is None else now.time - now.last
        return since > self._settings.stalled_ms / 1000

    def _passed(self, decision: Decision) -> bool:
        now = self._now()
        if decision.due_time is None and decision.due_ticks is None:
            return now.time >= decision.decided_time + self._settings.fresh_ms / 1000
        return due_passed(decision, now) or (decision.due_ticks is not None and self._stalled)

    # Decisions.

    async def _deliver(self, decisions: Sequence[Decision]) -> None:
        give_up = time.monotonic() + self._settings.acknowledge_ms / 1000
        while True:
            await self._take_back()
            waiting = [each for each in decisions if not self._missed(each)]
            if not waiting:
                return
            if self._up:
                if not self._round.open:
                    await self._fill(waiting[:SLOTS])
                self._settle(await self._timed(self._port.read_acknowledgements()))
                if not self._round.open:
                    continue
            if time.monotonic() > give_up:
                self._refuse()
            await asyncio.sleep(_POLL)

    def _refuse(self) -> NoReturn:
        if not self._up:
            raise SinkError(self._reason)
        self.counts.unacknowledged += 1
        self._error = ErrorCode.NOT_ACKNOWLEDGED
        raise SinkError("the PLC does not acknowledge")

    async def _fill(self, decisions: Sequence[Decision]) -> None:
        """Write a round: the results first, their sequence numbers last, without those that have become too late."""
        now = self._now()
        results = [to_result(each, now, self._settings.outlets, self._run.classes) for each in decisions]
        await self._timed(self._port.write_results(results))
        self._round = _Round([None if self._passed(each) else each for each in decisions])
        await self._timed(self._port.write_sequences(self._round.sequences))
        self._written = max([self._written, *self._round.sequences])

    async def _take_back(self) -> None:
        """Empty the slots of fruit that are at their outlets."""
        if not any(decision is not None and self._passed(decision) for decision in self._round.decisions):
            return
        if self._up:
            self._settle(await self._timed(self._port.read_acknowledgements()))
        late = [decision for decision in self._round.decisions if decision is not None and self._passed(decision)]
        self._round = _Round([None if each in late else each for each in self._round.decisions])
        for decision in late:
            self._missed(decision)
        if self._up:
            await self._timed(self._port.write_sequences(self._round.sequences))

    def _missed(self, decision: Decision) -> bool:
        """Return whether a decision is settled; count it as missed if it lies in no slot and comes too late."""
        if decision.sequence in self._settled:
            return True
        if decision in self._round.decisions or not self._passed(decision):
            return False
        self._settled.add(decision.sequence)
        self.missed += 1
        self._late_at = time.monotonic()
        return True

    def _settle(self, acknowledgements: Sequence[int]) -> None:
        """Count what was acknowledged, and leave its slots to others."""
        for slot, decision in enumerate(self._round.decisions):
            if decision is not None and acknowledgements[slot] == decision.sequence:
                self._settled.add(decision.sequence)
                self._round.decisions[slot] = None
                self.counts.sent += 1
                self._error = ErrorCode.NONE
