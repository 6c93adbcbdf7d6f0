"""Delivery: sinks that are slow, fail, raise anything or hang never stop the line, and nothing is lost."""

import threading
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from deciding import CLASSES, Clock, decide
from logged import Log, until

from mango_grader.errors import SinkError
from mango_grader.line import Decision, Deliveries, Delivery, RunInfo
from mango_grader.line.sinks.delivery import BATCH
from mango_grader.line.sinks.jsonl import JsonlSettings


class Listing:
    """Somebody's own sink: a list; `trouble` is raised as long as it is set, and `gate` holds it up."""

    missed = 0

    def __init__(self, name: str = "listing", actuator: bool = False) -> None:
        self.name, self.actuator = name, actuator
        self.got: list[int] = []
        self.sizes: list[int] = []
        self.opened = self.closed = 0
        self.trouble: Exception | None = None
        self.attempts: list[float] = []
        self.gate = threading.Event()
        self.gate.set()

    def open(self, run: RunInfo) -> None:
        self.opened += 1

    def deliver(self, decisions: Sequence[Decision]) -> None:
        self.gate.wait()
        self.attempts.append(time.monotonic())
        if self.trouble:
            raise self.trouble
        self.sizes.append(len(decisions))
        self.got += [decision.sequence for decision in decisions]

    def position(self) -> int:
        return self.got[-1] if self.got else 0

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def run(tmp_path: Path) -> RunInfo:
    return RunInfo("run", CLASSES, str(tmp_path / "sinks"), Clock().now)


@pytest.fixture
def log(tmp_path: Path) -> Log:
    return Log(tmp_path / "log.jsonl")


def test_a_sink_that_hangs_costs_the_line_and_the_other_sinks_nothing(run: RunInfo, log: Log, tmp_path: Path) -> None:
    slow, quick = Listing("slow"), JsonlSettings(str(tmp_path / "fruit.jsonl")).build()
    slow.gate.clear()
    with Deliveries([slow, quick], log.reader, run) as deliveries:
        began = time.monotonic()
        for sequence in range(1, 301):
            deliveries.announce(log.add(decide(sequence)))
        assert time.monotonic() - began < 1
        until(lambda: deliveries.states()[1].position == 300)
        assert [state.waiting for state in deliveries.states()] == [300, 0]
        assert deliveries.drain(timeout=0.1) == 300
        slow.gate.set()
        assert deliveries.drain(timeout=10) == 0
    assert slow.got == [*range(1, 301)]
    assert max(slow.sizes) <= BATCH
    assert (slow.opened, slow.closed) == (1, 1)


@pytest.mark.parametrize("trouble", [SinkError("the cable is out"), ValueError("a\nbug")])
def test_whatever_a_sink_raises_is_shown_and_tried_again(run: RunInfo, log: Log, trouble: Exception) -> None:
    sink = Listing()
    sink.trouble = trouble
    delivery = Delivery(sink, log, run)
    delivery.start()
    delivery.announce(log.add(decide(1), decide(2)))
    until(lambda: delivery.state.failures == 2)
    said = "the cable is out" if isinstance(trouble, SinkError) else "ValueError: a\\nbug"
    assert (delivery.state.error, delivery.state.failing) == (said, True)
    assert str(delivery.state) == f"listing: 0 delivered, 2 waiting ({said})"
    sink.trouble = None
    assert delivery.drain(timeout=10) == 0
    assert str(delivery.state) == "listing: 2 delivered, 0 waiting"
    delivery.close()
    assert sink.got == [1, 2]
    assert sink.opened == sink.closed == delivery.state.failures + 1


def test_pauses_grow_for_a_record_sink_and_stay_short_for_an_actuator(run: RunInfo, log: Log) -> None:
    log.add(decide(1))
    sinks = [Listing("record"), Listing("actuator", actuator=True)]
    for sink in sinks:
        sink.trouble = SinkError("away")
    with Deliveries(sinks, log.reader, run):
        time.sleep(1.2)
    record, actuator = sinks
    assert len(record.attempts) <= 4  # after 0, 0.1, 0.3 and 0.7 seconds
    assert len(actuator.attempts) >= 6
    assert actuator.opened == 1


def test_a_sink_that_does_not_come_back_is_left_behind(run: RunInfo, log: Log) -> None:
    sink = Listing()
    sink.gate.clear()
    delivery = Delivery(sink, log, run)
    delivery.start()
    delivery.announce(log.add(decide(1)))
    began = time.monotonic()
    delivery.close(timeout=0.2)
    assert time.monotonic() - began < 2
    assert delivery.state.waiting == 1
    sink.gate.set()
    until(lambda: sink.closed)


def test_decisions_that_the_log_held_before_are_delivered_without_news(run: RunInfo, log: Log) -> None:
    log.add(*(decide(sequence) for sequence in range(1, 201)))
    sink = Listing()
    with Deliveries([sink], log.reader, run):
        until(lambda: len(sink.got) == 200)
    assert sink.got == [*range(1, 201)]
