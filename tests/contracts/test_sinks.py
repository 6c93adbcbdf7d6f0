"""What every sink keeps. A new sink joins with one line of `TARGETS`."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
import targets
import tomlkit
from deciding import CLASSES, Clock, decide
from logged import Log, until

from mango_grader.line import SINKS, Decision, Delivery, LineConfig, RunInfo, Sink
from mango_grader.line.config import read_config

TARGETS: Mapping[str, Callable[[Path], AbstractContextManager[targets.Target]]] = {
    "jsonl": targets.jsonl,
    "csv": targets.csv,
    "sqlite": targets.sqlite,
    "mqtt": targets.mqtt,
    "prometheus": targets.prometheus,
    "modbus": targets.modbus,
    "opcua": targets.opcua,
}


@pytest.fixture(params=TARGETS)
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[targets.Target]:
    with TARGETS[request.param](tmp_path) as target:
        yield target


@pytest.fixture
def run(tmp_path: Path) -> RunInfo:
    return RunInfo("run", CLASSES, str(tmp_path / "sink"), Clock().now)


@contextmanager
def opened(target: targets.Target, run: RunInfo) -> Iterator[Sink]:
    sink = target.settings.build()
    try:
        sink.open(run)
        yield sink
    finally:
        sink.close()


@contextmanager
def delivering(target: targets.Target, run: RunInfo, log: Log) -> Iterator[Delivery]:
    delivery = Delivery(target.settings.build(), log, run)
    delivery.start()
    try:
        yield delivery
    finally:
        delivery.close()


def fruit(*sequences: int) -> list[Decision]:
    """Return decisions whose fruit are at their outlets in an hour."""
    return [decide(sequence, due_time=3600.0) for sequence in sequences]


def firsts(sequences: list[int]) -> list[int]:
    return list(dict.fromkeys(sequences))


def test_every_sink_is_here() -> None:
    assert TARGETS.keys() == SINKS.keys()


def test_settings_make_a_sink_and_survive_the_file(target: targets.Target, tmp_path: Path) -> None:
    base = {
        "camera": {"width": 640, "height": 480},
        "belt": {"direction": "right", "decision_line": 500},
        "finder": {"kind": "whole-frame"},
    }
    config = replace(LineConfig.from_dict(base), sinks=(target.settings,))
    (tmp_path / "line.toml").write_text(tomlkit.dumps(config.to_dict()), encoding="utf-8")
    assert read_config(tmp_path / "line.toml").sinks == (target.settings,)
    sink = target.settings.build()
    assert isinstance(sink, Sink)
    assert (sink.name, sink.missed) == (target.settings.name, 0)


def test_decisions_arrive_in_order_before_deliver_returns(target: targets.Target, run: RunInfo) -> None:
    with opened(target, run) as sink:
        assert sink.position() == 0
        sink.deliver(fruit(1))
        assert (target.arrived(), sink.position()) == ([1], 1)
        sink.deliver(fruit(2, 3, 4, 5, 6, 7, 8, 9, 10, 11))
        assert (target.arrived(), sink.position()) == ([*range(1, 12)], 11)


def test_an_actuator_misses_what_comes_too_late_and_a_record_gets_it(target: targets.Target, run: RunInfo) -> None:
    with opened(target, run) as sink:
        sink.deliver([decide(1, due_time=-1.0), *fruit(2), decide(3, due_time=-1.0)])
        assert sink.position() == 3
        assert sink.missed == (2 if sink.actuator else 0)
    assert target.arrived() == ([2] if sink.actuator else [1, 2, 3])


def test_a_sink_that_is_opened_again_goes_on_where_it_was(target: targets.Target, run: RunInfo) -> None:
    with opened(target, run) as sink:
        sink.deliver(fruit(1, 2, 3))
    with opened(target, run) as sink:
        assert sink.position() == 3
        sink.deliver(fruit(4))
    assert target.arrived() == [1, 2, 3, 4]


def test_another_run_begins_at_the_beginning(target: targets.Target, run: RunInfo) -> None:
    with opened(target, run) as sink:
        sink.deliver(fruit(1, 2))
    with opened(target, replace(run, run="next")) as sink:
        assert sink.position() == 0
        sink.deliver([replace(decision, id=f"next-{decision.sequence}") for decision in fruit(1, 2, 3)])
    assert target.arrived()[-3:] == [1, 2, 3]


def test_what_is_delivered_twice_is_there_once_or_with_the_same_id(target: targets.Target, run: RunInfo) -> None:
    with opened(target, run) as sink:
        sink.deliver(fruit(1, 2))
    with opened(target, replace(run, folder=f"{run.folder}-lost")) as sink:  # as if its position were lost
        sink.deliver(fruit(1, 2, 3))
    arrived = target.arrived()
    assert firsts(arrived) == [1, 2, 3]
    assert not target.exactly_once or arrived == [1, 2, 3]


def test_closing_twice_or_without_opening_does_nothing(target: targets.Target, run: RunInfo) -> None:
    sink = target.settings.build()
    sink.close()
    sink = target.settings.build()
    sink.open(run)
    sink.close()
    sink.close()


def test_what_fails_is_a_sink_error_in_one_line_and_is_delivered_later(
    target: targets.Target, run: RunInfo, tmp_path: Path
) -> None:
    log = Log(tmp_path / "log.jsonl")
    with ExitStack() as stack:
        trouble = stack.enter_context(ExitStack())
        trouble.enter_context(target.broken())
        delivery = stack.enter_context(delivering(target, run, log))
        delivery.announce(log.add(*fruit(*range(1, 151))))
        until(lambda: delivery.state.failures > 1)
        state = delivery.state
        assert (state.position, state.waiting, state.failing) == (0, 150, True)
        assert state.error
        assert "\n" not in state.error
        trouble.close()
        assert delivery.drain(timeout=20) == 0
        assert (delivery.state.position, delivery.state.waiting, delivery.state.failing) == (150, 0, False)
    arrived = target.arrived()
    assert firsts(arrived) == [*range(1, 151)]
    assert not target.exactly_once or all(before < after for before, after in pairwise(arrived))


def test_what_was_open_at_the_end_is_delivered_by_the_next_process(
    target: targets.Target, run: RunInfo, tmp_path: Path
) -> None:
    log = Log(tmp_path / "log.jsonl")
    with target.broken(), delivering(target, run, log) as delivery:
        delivery.announce(log.add(*fruit(1, 2, 3)))
        assert delivery.drain(timeout=0.3) == 3
    with delivering(target, run, log) as delivery:
        delivery.announce(log.add(*fruit(4)))
        assert delivery.drain(timeout=20) == 0
    assert firsts(target.arrived()) == [1, 2, 3, 4]
