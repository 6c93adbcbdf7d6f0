"""A real belt: eggs singly and in touching groups, a camera that drifts, a speed that changes; truth read by eye."""

import csv
from pathlib import Path

import numpy as np
import pytest
from photos import real_data
from scipy.optimize import linear_sum_assignment

from mango_grader.line import Passage, TrackingConfig, Video, make_tracker
from mango_grader.line.calibration.calibrate import Request, calibrate
from mango_grader.line.calibration.footage import gather
from mango_grader.progress import SilentProgress

LINE = 239
EMPTY = 70


@pytest.fixture(scope="module")
def home() -> Path:
    return real_data("belt_video")


@pytest.fixture(scope="module")
def passages(home: Path) -> list[Passage]:
    """What the line makes of the clip, with the settings that its first 70 frames give: they are empty."""
    video = Video(home / "egg_belt.mp4")
    footage = gather(video, EMPTY, [range(EMPTY)], SilentProgress())
    config = calibrate(footage, Request(decision_line=LINE), SilentProgress()).config
    tracker, finder = make_tracker(config.axes, TrackingConfig()), config.finder.build(config.axes)
    found: list[Passage] = []
    for frame in video.frames():
        assert frame.image is not None
        found += tracker.update(frame, finder.find(frame.image)).passages
    return [*found, *tracker.close()]


def test_the_eggs_are_counted(home: Path, passages: list[Passage]) -> None:
    with (home / "egg_belt_crossings.csv").open(encoding="utf-8", newline="") as file:
        truth = [(int(row["frame"]), float(row["y"])) for row in csv.DictReader(file)]
    counted = [passage for passage in passages if passage.status == "decided"]
    frames = np.abs(np.subtract.outer([one.passed_frame for one in counted], [frame for frame, _ in truth]))
    across = np.abs(np.subtract.outer([one.across for one in counted], [y for _, y in truth]))
    near = (frames <= 6) & (across <= 20)
    rows, columns = linear_sum_assignment(np.where(near, frames / 6 + across / 20, 100.0))
    matched = int(near[rows, columns].sum())
    assert abs(len(counted) - len(truth)) <= 1
    assert matched >= 37
    assert len(counted) - matched <= 1
