"""The belt at the end of the demo: counted fruit, a report and a clip, with a model that grades by colour."""

from pathlib import Path

import cv2
import pytest
from bundles import make_bundle
from commands import call

from mango_grader.line.simulator import SimulatorSettings, write_belt
from mango_grader.workflow.demo import compare_belt


@pytest.fixture(scope="module")
def belt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo") / "belt"
    write_belt(folder, SimulatorSettings(fruit=4, seed=2, speed=600.0, empty_seconds=0.2))
    return folder


def test_the_belt_of_the_demo_is_counted_shown_and_compared(belt: Path, tmp_path: Path) -> None:
    model = make_bundle(tmp_path / "m.mango", classes=("A", "B", "C"))
    table, clip = tmp_path / "belt.csv", tmp_path / "belt.mp4"
    options = ["--config", belt / "line.toml", "--model", model, "--out", table, "--clip", clip]
    done = call("conveyor", "run", belt, *options)
    assert done.exit_code == 0, done.stderr
    found = compare_belt(belt, table)
    assert (found.fruit, found.counted) == (4, 4)
    assert 0 <= found.agreed <= 1
    assert "<svg" in (tmp_path / "belt.csv.html").read_text(encoding="utf-8")
    film = cv2.VideoCapture(str(clip))
    assert film.get(cv2.CAP_PROP_FRAME_COUNT) == len(list(belt.glob("*.jpg")))
    film.release()


def test_a_clip_of_an_unknown_kind_is_refused_before_the_work(belt: Path, tmp_path: Path) -> None:
    model = make_bundle(tmp_path / "m.mango", classes=("A", "B", "C"))
    options = ["--config", belt / "line.toml", "--model", model, "--out", tmp_path / "belt.csv"]
    done = call("conveyor", "run", belt, *options, "--clip", tmp_path / "belt.mov")
    assert (done.exit_code, done.stderr.count("\n")) == (2, 1)
    assert "a clip is written as .mp4, .webm, .avi" in done.stderr
    assert not (tmp_path / "belt.csv.log").exists()
