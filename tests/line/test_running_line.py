"""A line from frames to decisions: what is in its log, who hears of it and when, and how it goes on."""

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from bundles import CLASSES, make_bundle
from drawn_line import FPS, draw, frames_for, grade_of, line_config

from mango_grader.errors import FormatError, UsageError
from mango_grader.line import (
    Decision,
    Frame,
    GivenFrames,
    Line,
    LineConfig,
    LineOptions,
    LogFolder,
    RunInfo,
    buffered,
    write_table,
)
from mango_grader.line.log import Decided, Ended, ModelChanged, ModelRefused, Resumed, Started, Unreadable, Worked
from mango_grader.runtime import Grader

FRUIT = 6
OPTIONS = LineOptions(run="r", checkpoint_frames=10)


def frames(fruit: int = FRUIT, count: int | None = None) -> list[Frame]:
    """Return the frames of a belt; `count` cuts them off."""
    last = frames_for(fruit) if count is None else count
    return [Frame(index, index / FPS, draw(index, fruit), name=f"{index}.png") for index in range(last)]


@pytest.fixture(scope="module")
def grader(tmp_path_factory: pytest.TempPathFactory) -> Grader:
    return Grader.load(make_bundle(tmp_path_factory.mktemp("model") / "model.mango"), "cpu")


def run(
    grader: Grader,
    log: Path,
    given: Sequence[Frame],
    options: LineOptions = OPTIONS,
    config: LineConfig | None = None,
    *,
    finite: bool = True,
) -> list[Decision]:
    source = GivenFrames(given, finite=finite)
    return list(Line(source, grader, config or line_config(), log=str(log), options=options))


def kinds(log: Path) -> list[type]:
    return [type(entry) for _, entry in LogFolder(log).entries()]


def test_each_fruit_is_decided_once_and_logged_with_its_evidence(grader: Grader, tmp_path: Path) -> None:
    decisions = run(grader, tmp_path / "log", frames())
    assert [one.grade for one in decisions] == [grade_of(number) for number in range(FRUIT)]
    assert [one.id for one in decisions] == [f"r-{number}" for number in range(1, FRUIT + 1)]
    assert {one.status for one in decisions} == {"decided"}
    assert {one.outlet for one in decisions if one.grade == "green"} == {"left"}
    assert kinds(tmp_path / "log") == [Started, *[Decided] * FRUIT, Ended]
    logged = [entry for _, entry in LogFolder(tmp_path / "log").entries() if isinstance(entry, Decided)]
    assert [one.decision for one in logged] == decisions
    assert all(len(one.evidence) == one.decision.views for one in logged)
    assert LogFolder(tmp_path / "log").verify().ended


class Listening:
    """A sink that looks into the log when it hears of a decision."""

    name, actuator, missed = "listening", False, 0

    def __init__(self, log: Path) -> None:
        self.log, self.heard, self.known = LogFolder(log), 0, True

    def open(self, run: RunInfo) -> None:
        assert run.classes == CLASSES

    def deliver(self, decisions: Sequence[Decision]) -> None:
        logged = [one.sequence for one in self.log.decisions()]
        self.known = self.known and all(one.sequence in logged for one in decisions)
        self.heard = decisions[-1].sequence

    def position(self) -> int:
        return self.heard

    def close(self) -> None:
        pass


def test_a_sink_hears_of_what_is_in_the_log_already(grader: Grader, tmp_path: Path) -> None:
    sink = Listening(tmp_path / "log")
    line = Line(GivenFrames(frames()), grader, line_config(), log=str(tmp_path / "log"), sinks=[sink], options=OPTIONS)
    for decision in line:
        assert decision.sequence in [one.sequence for one in LogFolder(tmp_path / "log").decisions()]
    assert (sink.heard, sink.known) == (FRUIT, True)
    assert [state.waiting for state in line.deliveries] == [0]


def test_without_a_log_the_decisions_are_the_same(grader: Grader, tmp_path: Path) -> None:
    line = Line(GivenFrames(frames()), grader, line_config(), options=OPTIONS)
    assert list(line) == run(grader, tmp_path / "log", frames())
    assert (line.tally.fruit, line.tally.frames, line.tally.sound) == (FRUIT, frames_for(FRUIT), True)


def test_frames_that_cannot_be_read_are_rows_of_the_log(grader: Grader, tmp_path: Path) -> None:
    given = frames()
    given[20] = replace(given[20], image=None, error="torn")
    given[21] = replace(given[21], image=None, error="empty")
    decisions = run(grader, tmp_path / "log", given)
    assert [one.grade for one in decisions] == [grade_of(number) for number in range(FRUIT)]
    found = [entry for _, entry in LogFolder(tmp_path / "log").entries() if isinstance(entry, Unreadable)]
    assert found == [Unreadable(20, "20.png", "torn"), Unreadable(21, "21.png", "empty")]


def test_fruit_that_the_end_leaves_open_are_incomplete(grader: Grader, tmp_path: Path) -> None:
    decisions = run(grader, tmp_path / "log", frames(count=21))
    assert [(one.status, one.grade) for one in decisions] == [("decided", grade_of(0)), ("incomplete", grade_of(1)),
                                                              ("incomplete", grade_of(2))]  # fmt: skip
    assert decisions[1].outlet is None


def test_fruit_beyond_the_line_in_the_first_frame_are_rows_and_not_counted(grader: Grader, tmp_path: Path) -> None:
    line = Line(GivenFrames(frames()[18:]), grader, line_config(), log=str(tmp_path / "log"), options=OPTIONS)
    first, *rest = line
    assert (first.status, first.outlet, first.counted) == ("present at start", None, False)
    assert [one.status for one in rest] == ["decided"] * (FRUIT - 1)
    assert (line.tally.fruit, line.tally.at_start) == (FRUIT - 1, 1)


class PowerCutError(Exception):
    pass


def cut_at(given: Sequence[Frame], index: int) -> Iterator[Frame]:
    yield from given[:index]
    raise PowerCutError


@pytest.mark.parametrize("where", range(1, 50, 6))
def test_a_run_that_was_cut_off_anywhere_ends_as_one_that_was_not(grader: Grader, tmp_path: Path, where: int) -> None:
    run(grader, tmp_path / "whole", frames())
    with pytest.raises(PowerCutError):
        list(Line(GivenFrames(cut_at(frames(), where)), grader, line_config(), log=str(tmp_path / "cut"),
                  options=OPTIONS))  # fmt: skip
    with LogFolder(tmp_path / "cut").chain.open("ab") as file:  # What a torn write leaves.
        file.write(b'{"line": 99, "kind": "decis')
    run(grader, tmp_path / "cut", frames(), replace(OPTIONS, resume=True))
    assert kinds(tmp_path / "cut").count(Resumed) == 1
    for name in ("cut", "whole"):
        write_table(tmp_path / f"{name}.csv", LogFolder(tmp_path / name))
    assert (tmp_path / "cut.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()
    assert LogFolder(tmp_path / "cut").verify().ended


def test_other_frames_than_those_of_the_log_are_noticed(grader: Grader, tmp_path: Path) -> None:
    """Resumed from before a decision that is in the log already, which now comes out differently."""
    with pytest.raises(PowerCutError):
        list(Line(GivenFrames(cut_at(frames(), 24)), grader, line_config(), log=str(tmp_path / "log"),
                  options=replace(OPTIONS, checkpoint_frames=1000)))  # fmt: skip
    other = [replace(frame, image=np.roll(frame.image, 2, axis=0)) for frame in frames() if frame.image is not None]
    with pytest.raises(FormatError, match=r"line 2: decision\.across is .* in the log, and now .*: the frames,"):
        run(grader, tmp_path / "log", other, replace(OPTIONS, resume=True))


def test_fewer_frames_than_those_of_the_log_are_noticed(grader: Grader, tmp_path: Path) -> None:
    with pytest.raises(PowerCutError):
        list(Line(GivenFrames(cut_at(frames(), 24)), grader, line_config(), log=str(tmp_path / "log"),
                  options=replace(OPTIONS, checkpoint_frames=1000)))  # fmt: skip
    with pytest.raises(FormatError, match=r"line 2: decision\.status is \"decided\" in the log"):
        run(grader, tmp_path / "log", frames(count=5), replace(OPTIONS, resume=True))


@pytest.mark.parametrize(
    ("options", "config", "said"),
    [
        (replace(OPTIONS, lot="b"), line_config(), "another lot"),
        (replace(OPTIONS, realtime=True), line_config(), "another realtime"),
        (replace(OPTIONS, run="s"), line_config(), "another run"),
        (OPTIONS, line_config(grading={"views": 3}), "another config"),
    ],
)
def test_a_log_goes_on_only_as_it_began(
    grader: Grader, tmp_path: Path, options: LineOptions, config: LineConfig, said: str
) -> None:
    run(grader, tmp_path / "log", frames())
    with pytest.raises(UsageError, match=said):
        run(grader, tmp_path / "log", frames(), replace(options, resume=True), config)


def test_a_log_whose_first_line_is_torn_begins_anew(grader: Grader, tmp_path: Path) -> None:
    """A disk that is full from the beginning leaves that; and a checkpoint of an earlier log is none of this one."""
    run(grader, tmp_path / "log", frames())
    chain = LogFolder(tmp_path / "log").chain
    chain.write_bytes(chain.read_bytes()[:50])
    decisions = run(grader, tmp_path / "log", frames(count=20), replace(OPTIONS, resume=True, checkpoint_frames=1000))
    assert [one.sequence for one in decisions] == [1, 2, 3]
    assert LogFolder(tmp_path / "log").verify().decisions == 3


def test_a_log_that_lost_its_end_does_not_go_on(grader: Grader, tmp_path: Path) -> None:
    line = Line(GivenFrames(frames()), grader, line_config(), log=str(tmp_path / "log"), options=OPTIONS)
    for _ in line:
        line.stop()  # A checkpoint is saved.
    chain = LogFolder(tmp_path / "log").chain
    lines = chain.read_bytes().splitlines(keepends=True)
    chain.write_bytes(lines[0])
    with pytest.raises(FormatError, match="the end is missing"):
        run(grader, tmp_path / "log", frames(), replace(OPTIONS, resume=True))
    assert chain.read_bytes() == lines[0]


def test_a_log_is_never_overwritten(grader: Grader, tmp_path: Path) -> None:
    run(grader, tmp_path / "log", frames())
    with pytest.raises(UsageError, match="add --resume"):
        run(grader, tmp_path / "log", frames())
    before = LogFolder(tmp_path / "log").verify()
    assert run(grader, tmp_path / "log", frames(), replace(OPTIONS, resume=True)) == []
    assert LogFolder(tmp_path / "log").verify() == before


def test_a_live_line_goes_on_with_its_numbers_and_says_that_fruit_were_lost(grader: Grader, tmp_path: Path) -> None:
    log, live = tmp_path / "log", replace(OPTIONS, resume=True)
    first = run(grader, log, frames(count=24), live, finite=False)
    again = run(grader, log, frames(), live, finite=False)
    sequences = [one.sequence for one in [*first, *again]]
    assert sequences == list(range(1, len(sequences) + 1))
    assert min(one.fruit for one in again) > max(one.fruit for one in first)
    resumed = [entry for _, entry in LogFolder(log).entries() if isinstance(entry, Resumed)]
    assert [one.lost for one in resumed] == [True]
    assert LogFolder(log).verify().decisions == len(sequences)


def test_stopped_a_finite_run_goes_on_and_a_live_one_ends(grader: Grader, tmp_path: Path) -> None:
    for finite in (True, False):
        log = tmp_path / f"log{finite}"
        line = Line(GivenFrames(frames(), finite=finite), grader, line_config(), log=str(log), options=OPTIONS)
        decisions = []
        for decision in line:
            decisions.append(decision)
            line.stop()
        ended = LogFolder(log).verify().ended
        assert (ended, decisions[0].status, len(decisions) < FRUIT) == (not finite, "decided", True)
        assert {one.status for one in decisions[1:]} == (set() if finite else {"incomplete"})
    rest = run(grader, tmp_path / "logTrue", frames(), replace(OPTIONS, resume=True))
    assert [one.sequence for one in rest] == list(range(2, FRUIT + 1))


def replace_file(path: Path, data: bytes) -> None:
    other = path.with_suffix(".new")
    other.write_bytes(data)
    other.replace(path)


def test_a_model_that_is_replaced_grades_the_fruit_to_come(tmp_path: Path) -> None:
    """Fruit in flight finish with the old model; a damaged file and other classes change nothing, and are logged."""
    path = make_bundle(tmp_path / "model.mango", default_policy="full")
    new = make_bundle(tmp_path / "new.mango", noise=0.5).read_bytes()
    other = make_bundle(tmp_path / "other.mango", classes=("a", "b", "c")).read_bytes()
    grader, fruit = Grader.load(path, "cpu"), 30
    puts = {10: b"damaged", 60: other, 110: new}

    def given() -> Iterator[Frame]:
        for frame in frames(fruit):
            if frame.index in puts:
                replace_file(path, puts[frame.index])
            yield frame

    decisions = list(Line(GivenFrames(given()), grader, line_config(), log=str(tmp_path / "log"), options=OPTIONS))
    assert [one.grade for one in decisions] == [grade_of(number) for number in range(fruit)]
    entries = [entry for _, entry in LogFolder(tmp_path / "log").entries()]
    refused = [entry.error for entry in entries if isinstance(entry, ModelRefused)]
    assert ["is not a .mango model" in refused[0], "has other classes: a, b, c" in refused[1], len(refused)] == [
        True, True, 2,
    ]  # fmt: skip
    (changed,) = [entry for entry in entries if isinstance(entry, ModelChanged)]
    assert changed.model != grader.bundle.digest
    assert Grader.load(LogFolder(tmp_path / "log").model(changed.model), "cpu").bundle.digest == changed.model


def test_with_deadlines_how_far_grading_came_is_logged(grader: Grader, tmp_path: Path) -> None:
    options = replace(OPTIONS, realtime=True)
    given = [replace(frame, time=frame.time / 3) for frame in frames()]  # 75 frames per second
    tables = {"direction": "right", "decision_line": 120.0, "motion": "speed", "speed": 600.0}
    decisions = run(grader, tmp_path / "log", given, options, line_config(belt=tables))
    assert len(decisions) == FRUIT
    assert {one.late for one in decisions} <= {True, False}
    works = [entry for _, entry in LogFolder(tmp_path / "log").entries() if isinstance(entry, Worked)]
    assert [one.frame for one in works] == list(range(len(given)))
    assert sum(len(rounds) for one in works for rounds in one.work) > 0


def test_a_line_that_is_far_behind_still_looks_at_what_it_decides(grader: Grader, tmp_path: Path) -> None:
    """Ten thousand frames per second: decisions come late, and none is made without a look."""
    given = [replace(frame, time=frame.time / 400) for frame in frames()]
    belt = {"direction": "right", "decision_line": 120.0, "motion": "speed", "speed": 80_000.0}
    config = line_config(belt=belt, grading={"deadline_ms": 10.0})
    decisions = run(grader, tmp_path / "log", given, replace(OPTIONS, realtime=True), config)
    assert [one.grade for one in decisions] == [grade_of(number) for number in range(FRUIT)]
    assert decisions[-1].late


class Slow:
    """An observer that the line waits for."""

    def see(self, frame: Frame, sightings: object, decisions: object) -> None:
        time.sleep(0.02)


def test_frames_that_a_slow_line_lets_drop_are_counted_and_logged(grader: Grader, tmp_path: Path) -> None:
    source = buffered(GivenFrames(frames(), finite=False), size=2)
    line = Line(source, grader, line_config(), log=str(tmp_path / "log"), observers=[Slow()], options=OPTIONS)
    decisions = list(line)
    assert [one.sequence for one in decisions] == list(range(1, len(decisions) + 1))
    assert line.tally.lost == source.counts.dropped > 0
    assert not line.tally.sound
    *_, (_, last) = LogFolder(tmp_path / "log").entries()
    assert isinstance(last, Ended)
    assert last.counts["dropped"] == source.counts.dropped


def test_a_line_whose_model_was_replaced_goes_on_with_the_new_one(tmp_path: Path) -> None:
    """Killed after the change, and the policies of the two models are not the same."""
    path = make_bundle(tmp_path / "model.mango", policies={"threshold": (0.6,)}, default_policy="threshold")
    new = make_bundle(tmp_path / "new.mango", policies={"threshold": (0.4,)}, default_policy="threshold")
    grader, log = Grader.load(path, "cpu"), str(tmp_path / "log")

    def given() -> Iterator[Frame]:
        for frame in frames(20):
            if frame.index == 20:
                new.replace(path)
            if frame.index == 100:
                raise PowerCutError
            yield frame

    with pytest.raises(PowerCutError):
        list(Line(GivenFrames(given()), grader, line_config(), log=log, options=OPTIONS))
    line = Line(GivenFrames(frames(20)), Grader.load(path, "cpu"), line_config(), log=log,
                options=replace(OPTIONS, resume=True))  # fmt: skip
    list(line)
    assert (line.tally.fruit, line.tally.new_models) == (20, 1)
    assert LogFolder(log).verify().ended


def test_every_line_of_the_log_is_ascii_json(grader: Grader, tmp_path: Path) -> None:
    run(grader, tmp_path / "log", frames(), replace(OPTIONS, lot="Ernte Süd"))
    lines = LogFolder(tmp_path / "log").chain.read_text(encoding="ascii").splitlines()
    assert json.loads(lines[1])["decision"]["lot"] == "Ernte Süd"
