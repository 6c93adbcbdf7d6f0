"""The OPC UA sink against a real server with a PLC's program, stopped and started again."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from deciding import Clock, decide, deliver, run_of
from logged import until
from opcua_plc import OpcuaPlc, opcua_plc

from mango_grader.errors import SinkError, UsageError
from mango_grader.line.sinks.actuator import Actuator
from mango_grader.line.sinks.opcua import OpcuaSettings
from mango_grader.line.sinks.plc import SLOTS, ErrorCode

QUICK: dict[str, Any] = {"outlets": ("first", "second"), "heartbeat_ms": 50.0, "acknowledge_ms": 200.0}


@pytest.fixture
def plc() -> OpcuaPlc:
    return opcua_plc()


@contextmanager
def opened(plc: OpcuaPlc, clock: Clock, **changes: Any) -> Iterator[Actuator]:
    sink = OpcuaSettings(**{"url": plc.url, **QUICK, **changes}).build()
    with TemporaryDirectory() as folder:
        sink.open(run_of(clock, folder))
        try:
            yield sink
        finally:
            sink.close()


def sequences(plc: OpcuaPlc) -> list[int]:
    return [result["Sequence"] for result in plc.taken]


def test_a_decision_stands_in_the_variables(plc: OpcuaPlc) -> None:
    clock = Clock(ticks=100.0)
    with opened(plc, clock) as sink:
        deliver(sink, decide(70_000, lane=2, review=True, due_time=clock.now().time + 100, due_ticks=2.0**32 + 65_537))
        [result] = plc.taken
        assert 95_000 < result.pop("DueMs") <= 100_000
        assert result.pop("Acknowledge") in (0, 70_000)
        assert result == {
            "Sequence": 70_000, "Lane": 2, "Outlet": 2, "Grade": 2, "Review": True, "Late": False, "DueMsValid": True,
            "DueTicksValid": True, "DueTicks": 65_537, "Confidence": 800, "Length": 1012, "Width": 765, "Views": 4,
        }  # fmt: skip
        until(lambda: plc.value("LastSequence") == 70_000)
        assert plc.value("Ready")
        beat = plc.value("Heartbeat")
        until(lambda: plc.value("Heartbeat") != beat)
    assert not plc.value("Ready")
    assert plc.value("Sequence") == [0] * SLOTS


def test_many_decisions_arrive_in_order_each_once(plc: OpcuaPlc) -> None:
    clock = Clock()
    with opened(plc, clock) as sink:
        deliver(sink, *[decide(n, due_time=clock.now().time + 60) for n in range(1, 31)])
    assert sequences(plc) == list(range(1, 31))


def test_a_server_that_was_stopped_gets_nothing_stale(plc: OpcuaPlc) -> None:
    clock = Clock()
    with opened(plc, clock) as sink:
        deliver(sink, decide(1))
        plc.stop()
        soon, later = decide(2, due_time=clock.now().time + 0.3), decide(3, due_time=clock.now().time + 60)
        with pytest.raises(SinkError):
            sink.deliver([soon, later])
        until(lambda: clock.now().time > (soon.due_time or 0))
        plc.start()
        beat = plc.value("Heartbeat")
        until(lambda: plc.value("Heartbeat") != beat)  # it connects without being asked
        deliver(sink, soon, later)
        until(lambda: plc.value("ErrorCode") == ErrorCode.TOO_LATE)
        assert plc.value("Missed") == sink.missed == 1
    assert sequences(plc) == [1, 3]


def test_a_program_that_does_not_acknowledge_finds_nothing_later(plc: OpcuaPlc) -> None:
    clock = Clock()
    with opened(plc, clock) as sink:
        deliver(sink, decide(1))
        plc.program = False
        decision = decide(2, due_time=clock.now().time + 0.5)
        with pytest.raises(SinkError, match="does not acknowledge"):
            sink.deliver([decision])
        until(lambda: plc.value("ErrorCode") == ErrorCode.NOT_ACKNOWLEDGED)
        deliver(sink, decision)
        plc.program = True
        deliver(sink, decide(3, decided_time=clock.now().time))
    assert sequences(plc) == [1, 3]


def test_a_variable_that_is_missing_is_named(plc: OpcuaPlc) -> None:
    with opened(plc, Clock(), node="ns=2;s=Other.{name}") as sink:
        until(lambda: "Other.Acknowledge" in failure(sink) or "BadNodeIdUnknown" in failure(sink))


def failure(sink: Actuator) -> str:
    with pytest.raises(SinkError) as caught:
        sink.deliver([decide(1)])
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_without_the_extra_one_line_says_what_to_install() -> None:
    code = (
        "import importlib.util, sys; find = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name, *rest: None if name == 'asyncua' else find(name, *rest)\n"
        "from mango_grader.line.sinks.opcua import OpcuaSettings\n"
        "assert 'asyncua' not in sys.modules\n"
        "try: OpcuaSettings(url='opc.tcp://plc:4840').build()\n"
        "except Exception as error: print(type(error).__name__, error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "MissingExtraError OPC UA needs an extra; run: pip install 'mango-grader[opcua]'\n"


@pytest.mark.parametrize("change", [{"url": "http://plc"}, {"node": "ns=2;s=Mango"}, {"node": "ns=2;s={name}{x}"}])
def test_settings_that_cannot_be_used_are_refused(change: dict[str, str]) -> None:
    with pytest.raises(UsageError, match="unlike"):
        OpcuaSettings(**{"url": "opc.tcp://plc:4840", **change})
