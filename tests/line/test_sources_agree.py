"""A folder of frames, a video and a hot folder of one belt give the same decisions, read ahead or not."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from drawn_line import FPS, draw, frames_for, grade_of, line_config, write_frames
from footage import write_video

from mango_grader.line import FrameFolder, GivenFrames, HotFolder, Line, LineOptions, Source, Video, buffered
from mango_grader.line.decision import to_row
from mango_grader.runtime.inference.grader import Grader

FRUIT = 6


def images() -> list[Any]:
    return [draw(index, FRUIT) for index in range(frames_for(FRUIT))]


SOURCES: dict[str, Callable[[Path], Source]] = {
    "folder": lambda path: FrameFolder(write_frames(path / "belt", FRUIT)),
    "video": lambda path: Video(write_video(path / "belt.avi", images(), FPS)),
    "hot folder": lambda path: HotFolder(write_frames(path / "belt", FRUIT), settle=0.02, stop_after=0.2),
    "arrays": lambda _: GivenFrames(images(), fps=FPS),
    "buffered video": lambda path: buffered(Video(write_video(path / "belt.avi", images(), FPS)), size=3),
}


def rows(source: Source, bundle: Path) -> list[dict[str, Any]]:
    grader = Grader.load(bundle, "cpu")
    line = Line(source, grader, line_config(), options=LineOptions(run="r", lot="5"))
    return [to_row(decision, grader.manifest.classes) for decision in line]


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory, bundle: Path) -> list[dict[str, Any]]:
    return rows(SOURCES["folder"](tmp_path_factory.mktemp("folder")), bundle)


@pytest.mark.parametrize("kind", SOURCES)
def test_every_source_of_one_belt_gives_the_same_decisions(
    kind: str, tmp_path: Path, bundle: Path, expected: list[dict[str, Any]]
) -> None:
    assert len(expected) == FRUIT
    assert rows(SOURCES[kind](tmp_path), bundle) == expected


def test_a_lossless_video_holds_the_pixels_of_the_frames(tmp_path: Path) -> None:
    for frame, image in zip(SOURCES["video"](tmp_path).frames(), images(), strict=True):
        assert frame.image is not None
        np.testing.assert_array_equal(frame.image, image)
    assert {grade_of(number) for number in range(FRUIT)} == {"green", "yellow", "red"}


@pytest.mark.parametrize("fps", [2.0, 120.0])
def test_slow_and_fast_cameras_give_each_fruit_once(fps: float, bundle: Path) -> None:
    """The same frames at 2 and at 120 a second, the belt as much slower or faster."""
    belt = {"direction": "right", "decision_line": 120.0, "motion": "speed", "speed": 8.0 * fps}
    line = Line(GivenFrames(images(), fps=fps), Grader.load(bundle, "cpu"), line_config(belt=belt))
    assert [decision.status for decision in line] == ["decided"] * FRUIT
