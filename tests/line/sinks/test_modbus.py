"""The Modbus sink against a PLC: a real server with real registers, and a program that acknowledges and watches."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from deciding import Clock, decide, deliver, run_of
from logged import until
from plc import SAFE, WATCHDOG, Plc

from mango_grader.errors import SinkError, UsageError
from mango_grader.line.sinks.actuator import Actuator
from mango_grader.line.sinks.modbus import MAP_WORDS, RESULT, RESULT_WORDS, RESULTS, STATUS, ModbusSettings
from mango_grader.line.sinks.plc import SLOTS, ErrorCode

OUTLETS = ("first", "second")
QUICK: dict[str, Any] = {
    "outlets": OUTLETS,
    "heartbeat_ms": 30.0,
    "timeout_ms": 200.0,
    "acknowledge_ms": 100.0,
    "stalled_ms": 400.0,
}


@pytest.fixture
def plc() -> Iterator[Plc]:
    with Plc() as plc:
        yield plc


@contextmanager
def opened(plc: Plc, clock: Clock, **changes: Any) -> Iterator[Actuator]:
    settings = ModbusSettings(**{"host": "127.0.0.1", "port": plc.port, **QUICK, **changes})
    sink = settings.build()
    with TemporaryDirectory() as folder:
        sink.open(run_of(clock, folder))
        try:
            yield sink
        finally:
            sink.close()


def sequences(plc: Plc) -> list[int]:
    return [result["sequence"] for result in plc.taken]


@pytest.mark.parametrize("word_order", ["big", "little"])
@pytest.mark.parametrize("byte_order", ["big", "little"])
def test_a_decision_stands_in_the_registers_of_the_map(word_order: Any, byte_order: Any) -> None:
    places: dict[str, Any] = {"unit": 7, "address": 300, "word_order": word_order, "byte_order": byte_order}
    clock = Clock(ticks=100.0)
    with Plc(**places) as plc, opened(plc, clock, **places) as sink:
        decision = decide(70_000, lane=2, review=True, due_time=clock.now().time + 100, due_ticks=2.0**32 + 65_537)
        deliver(sink, decision)
        [result] = plc.taken
        assert 99_000 < result.pop("due_ms") <= 100_000
        assert result == {
            "sequence": 70_000, "lane": 2, "outlet": 2, "grade": 2, "flags": 0b1101, "due_ticks": 65_537,
            "confidence": 800, "length": 1012, "width": 765, "views": 4,
        }  # fmt: skip
        until(lambda: plc.status("last_sequence") == 70_000)
        assert (plc.status("map_version"), plc.status("state"), plc.status("error")) == (1, 1, 0)
        assert not any(plc.registers[:300])


def test_the_register_map_has_no_gap_and_no_overlap() -> None:
    for registers, words in ((STATUS, 8), (RESULT, RESULT_WORDS)):
        ends = [register.offset + register.words for register in registers]
        assert [register.offset for register in registers] == [0, *ends[:-1]]
        assert ends[-1] == words
    assert RESULTS + SLOTS * RESULT_WORDS == MAP_WORDS


def test_many_decisions_arrive_in_order_each_once(plc: Plc) -> None:
    clock = Clock()
    with opened(plc, clock) as sink:
        decisions = [decide(n, due_time=clock.now().time + 60) for n in range(1, 61)]
        for start, size in ((0, 1), (1, 30), (31, 8), (39, 21)):
            deliver(sink, *decisions[start : start + size])
            assert sink.position() == start + size
    assert sequences(plc) == list(range(1, 61))
    assert (sink.counts.sent, sink.missed) == (60, 0)


def test_fruit_that_did_not_pass_the_line_move_nothing(plc: Plc) -> None:
    with opened(plc, Clock()) as sink:
        deliver(sink, decide(1, status="incomplete"), decide(2, status="present at start"), decide(3))
        assert sink.position() == 3
    assert sequences(plc) == [3]


def test_unnamed_outlets_and_missing_values_are_zero(plc: Plc) -> None:
    bare = {"grade": None, "confidence": None, "outlet": None, "length_mm": None, "width_mm": None, "late": True}
    with opened(plc, Clock()) as sink:
        deliver(sink, decide(1, **bare), decide(2, outlet="third"))
    assert [plc.taken[0][name] for name in ("outlet", "grade", "confidence", "length", "width")] == [0] * 5
    assert plc.taken[0]["flags"] == 0b10
    assert plc.taken[1]["outlet"] == 0


def test_the_heartbeat_goes_on_without_fruit_and_its_end_is_the_safe_way(plc: Plc) -> None:
    clock = Clock()
    with opened(plc, clock) as sink:
        deliver(sink, decide(1, outlet="first"))
        beats = set()
        until(lambda: beats.add(plc.status("heartbeat")) or len(beats) > 5)
        assert plc.outlet(1) == 1
        assert plc.outlet(2) == SAFE  # a fruit of which the PLC was told nothing
    assert plc.outlet(1) == SAFE  # not ready: at once
    until(lambda: time.monotonic() - plc.beat_at > WATCHDOG)
    beat = plc.status("heartbeat")
    time.sleep(0.1)
    assert plc.status("heartbeat") == beat


def test_a_line_that_is_killed_is_noticed_by_its_heartbeat(plc: Plc) -> None:
    clock = Clock()
    with opened(plc, clock, heartbeat_ms=20.0) as sink:
        deliver(sink, decide(1))
        assert plc.outlet(1) == 2
    plc.registers[2] = 1  # what a killed line leaves behind
    assert plc.outlet(1) == 2
    until(lambda: plc.outlet(1) == SAFE, WATCHDOG + 1)


def test_a_plc_that_was_unplugged_gets_nothing_stale(plc: Plc) -> None:
    clock = Clock()
    with opened(plc, clock) as sink:
        deliver(sink, decide(1))
        plc.stop()
        soon, later = decide(2, due_time=clock.now().time + 0.2), decide(3, due_time=clock.now().time + 60)
        with pytest.raises(SinkError, match=r"no connection to 127\.0\.0\.1|does not answer|lost"):
            sink.deliver([soon, later])
        until(lambda: clock.now().time > 0.2 + (soon.due_time or 0))
        plc.start()
        beat = plc.status("heartbeat")
        until(lambda: plc.status("heartbeat") != beat)  # it connects without being asked
        deliver(sink, soon, later)
        until(lambda: (plc.status("state"), plc.status("error")) == (0b111, ErrorCode.TOO_LATE))
    assert sequences(plc) == [1, 3]
    assert (sink.counts.sent, sink.missed, sink.counts.connections) == (2, 1, 2)


def test_an_hour_of_decisions_is_missed_at_once(plc: Plc) -> None:
    clock = Clock()
    backlog = [decide(n, due_time=clock.now().time - 3600 + n / 20) for n in range(1, 60_001)]
    fresh = decide(60_001, due_time=clock.now().time + 60)
    with opened(plc, clock) as sink:
        for start in range(0, len(backlog), 1000):
            sink.deliver(backlog[start : start + 1000])
        deliver(sink, fresh)
    assert sequences(plc) == [60_001]
    assert sink.missed == 60_000


def test_a_decision_without_a_due_time_grows_stale_too(plc: Plc) -> None:
    clock = Clock(start=time.monotonic() - 100)
    with opened(plc, clock) as sink:
        deliver(sink, decide(1, decided_time=98.0), decide(2, decided_time=100.0))
    assert sequences(plc) == [2]


def test_a_program_that_does_not_acknowledge_is_an_error_and_finds_nothing_later(plc: Plc) -> None:
    clock = Clock()
    with opened(plc, clock) as sink:
        deliver(sink, decide(1))
        plc.program = False
        due = clock.now().time + 0.5
        decision = decide(2, due_time=due)
        with pytest.raises(SinkError, match="does not acknowledge"):
            sink.deliver([decision])
        until(lambda: plc.status("error") == ErrorCode.NOT_ACKNOWLEDGED)
        deliver(sink, decision)  # until its fruit is at the outlet
        assert clock.now().time >= due
        plc.program = True
        deliver(sink, decide(3))
    assert sequences(plc) == [1, 3]
    assert sink.missed == 1
    assert sink.counts.unacknowledged >= 1


def test_a_result_that_waits_is_taken_if_the_program_goes_on_in_time(plc: Plc) -> None:
    clock = Clock()
    with opened(plc, clock) as sink:
        deliver(sink, decide(1))
        plc.program = False
        decision = decide(2, due_time=clock.now().time + 60)
        with pytest.raises(SinkError):
            sink.deliver([decision])
        plc.program = True
        deliver(sink, decision)
    assert sequences(plc) == [1, 2]
    assert sink.missed == 0


def test_a_result_whose_acknowledgement_was_lost_is_not_sent_again(plc: Plc) -> None:
    clock = Clock()
    with opened(plc, clock) as sink:
        deliver(sink, decide(1))
        plc.program = False
        decisions = [decide(n, due_time=clock.now().time + 60) for n in (2, 3)]
        with pytest.raises(SinkError):
            sink.deliver(decisions)
        plc.stop()
        plc.cycle()  # it takes what lies there, and nobody hears of it
        plc.program = True
        plc.start()
        deliver(sink, *decisions, decide(4, due_time=clock.now().time + 60))
    assert sequences(plc) == [1, 2, 3, 4]


def test_a_plc_that_forgets_everything_is_told_again(plc: Plc) -> None:
    clock = Clock()
    with opened(plc, clock) as sink:
        deliver(sink, decide(1))
        plc.program = False
        decision = decide(2, due_time=clock.now().time + 60)
        with pytest.raises(SinkError):
            sink.deliver([decision])
        plc.stop()
        plc.registers[:] = [0] * MAP_WORDS
        plc.program = True
        plc.start()
        deliver(sink, decision)
    assert sequences(plc) == [1, 2]


def test_what_an_earlier_run_left_behind_is_no_acknowledgement(plc: Plc) -> None:
    for _ in range(2):
        with opened(plc, Clock()) as sink:
            deliver(sink, decide(1), decide(2))
    assert sequences(plc) == [1, 2, 1, 2]


def test_a_camera_that_hangs_makes_the_line_not_ready(plc: Plc) -> None:
    clock = Clock(ticks=5.0)
    with opened(plc, clock) as sink:
        deliver(sink, decide(1, due_ticks=1000.0))
        assert plc.outlet(1) == 2
        plc.program = False
        clock.stop()
        until(lambda: plc.status("error") == ErrorCode.NO_FRAMES)
        assert not plc.status("state") & 1
        deliver(sink, decide(2, due_ticks=1000.0))  # nobody knows where the belt is now
        assert sink.missed == 1
        clock.stopped = None
        plc.program = True
        until(lambda: plc.status("state") & 1)
        deliver(sink, decide(3, due_ticks=1000.0))
    assert sequences(plc) == [1, 3]


def test_a_camera_that_hangs_is_noticed_also_where_time_goes_on(plc: Plc) -> None:
    clock = Clock()
    with opened(plc, clock) as sink:
        deliver(sink, decide(1))
        until(lambda: plc.status("state") & 1)
        clock.hang()
        until(lambda: plc.status("error") == ErrorCode.NO_FRAMES)
        assert not plc.status("state") & 1


def test_time_goes_on_after_the_last_frame(plc: Plc) -> None:
    clock = Clock()
    with opened(plc, clock, stalled_ms=60_000.0) as sink:
        deliver(sink, decide(1))
        plc.program = False
        clock.stop()
        deliver(sink, decide(2, due_time=clock.now().time + 0.3))
        assert sink.missed == 1


def test_a_connection_that_is_half_open_is_made_again() -> None:
    clock = Clock()
    decision = decide(1, due_time=clock.now().time + 60)
    with Mute() as mute, opened(Plc(mute.port), clock) as sink:
        until(lambda: len(mute.connections) >= 2)  # it gave up the first one by itself
        started = time.monotonic()
        with pytest.raises(SinkError):
            sink.deliver([decision])
        assert time.monotonic() - started < 2
        mute.close()
        with Plc(mute.port) as plc:
            deliver(sink, decision)
        assert sequences(plc) == [1]


class Mute:
    """A server that takes connections and never answers."""

    def __init__(self) -> None:
        self.connections: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._accept)
        self._thread.start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                self.connections.append(self._listener.accept()[0])

    def __enter__(self) -> "Mute":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()
        while self.connections:
            self.connections.pop().close()


def test_a_host_that_is_not_there_refuses_and_does_not_hang(tmp_path: Path) -> None:
    sink = ModbusSettings(host="127.0.0.1", port=9, **QUICK).build()
    sink.open(run_of(Clock(), tmp_path))
    with pytest.raises(SinkError, match=r"no connection to 127\.0\.0\.1, port 9"):
        sink.deliver([decide(1)])
    sink.close()


@pytest.mark.parametrize(
    ("change", "said"),
    [({"port": 0}, "port must be in 1..65535"), ({"unit": 256}, "unit"), ({"address": 65_500}, "address")],
)
def test_settings_out_of_range_are_refused(change: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        ModbusSettings(**{"host": "plc", **change})
