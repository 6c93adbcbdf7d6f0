"""A whole line and its sinks: none of them changes or stops it, and a later start delivers what was left."""

import json
from contextlib import ExitStack
from pathlib import Path

import cv2
import pytest
import targets
from brokers import Broker, Subscriber
from bundles import CLASSES, make_bundle
from drawn_line import FPS, draw, frames_for, grade_of, line_config

from mango_grader.line import AnnotatedClip, Annotator, Decision, Frame, GivenFrames, Line, LineOptions, LogFolder
from mango_grader.line.sinks.jsonl import JsonlSettings
from mango_grader.line.sinks.mqtt import MqttSettings
from mango_grader.line.sinks.prometheus import PrometheusSettings
from mango_grader.runtime import Grader

FRUIT = 6


@pytest.fixture(scope="module")
def grader(tmp_path_factory: pytest.TempPathFactory) -> Grader:
    return Grader.load(make_bundle(tmp_path_factory.mktemp("model") / "model.mango"), "cpu")


def belt() -> GivenFrames:
    count = frames_for(FRUIT)
    return GivenFrames([Frame(n, n / FPS, draw(n, FRUIT), name=f"{n}.png") for n in range(count)])


def decisions(grader: Grader, log: Path, most: int | None = None, **parts: object) -> list[Decision]:
    """Run a line; `most` leaves it after so many decisions, as a stop does."""
    options = LineOptions(run="r", checkpoint_frames=5, resume=log.exists())
    given = iter(Line(belt(), grader, line_config(), log=str(log), options=options, **parts))  # type: ignore[arg-type]
    found = []
    for decision in given:
        found.append(decision)
        if len(found) == most:
            break
    given.close()  # type: ignore[attr-defined]
    return found


def test_sinks_in_trouble_change_nothing_and_get_everything_from_a_later_start(grader: Grader, tmp_path: Path) -> None:
    alone = decisions(grader, tmp_path / "alone")
    broker = Broker(tmp_path / "broker")
    locked = targets.SqliteTarget(tmp_path)
    sinks = [MqttSettings("127.0.0.1", broker.port), JsonlSettings(f"{tmp_path}/fruit.jsonl"), locked.settings]
    with ExitStack() as trouble:
        trouble.enter_context(locked.broken())
        before = decisions(grader, tmp_path / "log", most=4, sinks=[each.build() for each in sinks])
    assert locked.arrived() == []
    broker.start()
    try:
        with Subscriber(broker.port) as subscriber:
            after = decisions(grader, tmp_path / "log", sinks=[each.build() for each in sinks])
            subscriber.flush()
            assert subscriber.sequences() == [*range(1, FRUIT + 1)]
    finally:
        broker.stop()
    assert [*before, *after] == alone
    assert locked.arrived() == [*range(1, FRUIT + 1)]
    rows = [json.loads(line) for line in Path(tmp_path, "fruit.jsonl").read_text().splitlines()]
    assert [(row["id"], row["grade"]) for row in rows] == [(one.id, one.grade) for one in alone]
    assert LogFolder(tmp_path / "log").verify().ended


def test_prometheus_learns_of_frames_and_sinks(grader: Grader, tmp_path: Path) -> None:
    sink = PrometheusSettings(f"{tmp_path}/mango.prom").build()
    decisions(grader, tmp_path / "log", sinks=[sink])
    told = dict(line.rsplit(" ", 1) for line in Path(tmp_path, "mango.prom").read_text().splitlines())
    assert float(told["mango_grader_frames_total"]) == frames_for(FRUIT)
    assert told['mango_grader_sink_waiting{sink="prometheus"}'] == "0.0"
    assert told['mango_grader_running{run="r"}'] == "0.0"
    fruit = [float(value) for name, value in told.items() if name.startswith("mango_grader_fruit_total{")]
    assert sum(fruit) == FRUIT


def test_a_clip_shows_every_frame_and_changes_no_decision(grader: Grader, tmp_path: Path) -> None:
    with AnnotatedClip(tmp_path / "belt.avi", Annotator(line_config().axes, CLASSES)) as clip:
        found = decisions(grader, tmp_path / "log", observers=[clip])
    assert [one.grade for one in found] == [grade_of(number) for number in range(FRUIT)]
    assert (clip.frames, clip.dropped, clip.error) == (frames_for(FRUIT), 0, "")
    written = cv2.VideoCapture(str(tmp_path / "belt.avi"))
    assert (written.get(cv2.CAP_PROP_FRAME_COUNT), written.get(cv2.CAP_PROP_FPS)) == (clip.frames, FPS)
    written.release()
