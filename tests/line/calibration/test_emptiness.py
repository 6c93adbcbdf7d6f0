"""Which frames show the empty belt is seen, on simulated belts and on eggs on a mesh belt."""

from collections.abc import Mapping
from dataclasses import replace
from itertools import islice

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from photos import real_data

from mango_grader.line import Frame, GivenFrames, SimulatedBelt, SimulatorSettings
from mango_grader.line.calibration.calibrate import Calibration, Finding, Request, calibrate
from mango_grader.line.calibration.emptiness import empty_frames
from mango_grader.line.calibration.footage import gather
from mango_grader.line.finders.palette import PaletteSettings
from mango_grader.line.simulator import Change
from mango_grader.progress import SilentProgress

SMALL = SimulatorSettings(
    fruit=10, seed=3, width=320, height=240, length_px=50, speed=220.0, fps=20.0, empty_seconds=1.5, touching=0.0,
    roll_steps=6,
)  # fmt: skip
FULL = replace(SMALL, fruit=26, full_at_start=True)


def images(settings: SimulatorSettings, count: int = 90) -> list[NDArray[np.uint8]]:
    frames = islice(SimulatedBelt(settings).frames(), count)
    return [frame.image for frame in frames if frame.image is not None]


def finding(calibration: Calibration) -> Finding:
    (found,) = (one for one in calibration.findings if one.name == "finder")
    return found


@pytest.mark.parametrize(
    "settings",
    [
        SMALL,
        replace(SMALL, texture="rollers"),
        replace(SMALL, texture="plain"),
        replace(SMALL, light_drift=0.08, seed=1),
        replace(SMALL, fruit=20, speed_changes=(Change(at=2.5, seconds=2.0, factor=0.0),)),
    ],
    ids=["mesh", "rollers", "plain", "light", "stop"],
)
def test_a_belt_that_starts_empty_is_seen(settings: SimulatorSettings) -> None:
    belt = SimulatedBelt(settings)
    found = empty_frames(images(settings))
    assert set(range(25)) <= set(found)
    assert [n for n in found if any(shown.blob.complete for shown in belt.shown(n))] == []


@pytest.mark.parametrize(
    "settings",
    [
        FULL,
        replace(FULL, lanes=1, gap=0.0, touching=1.0, fruit=20),
        replace(FULL, lanes=3, gap=0.1, fruit=40),
        replace(FULL, speed_changes=(Change(at=1.0, seconds=3.0, factor=0.0),)),
    ],
    ids=["two lanes", "touching", "three lanes", "stop"],
)
def test_a_belt_that_always_has_fruit_is_not_empty(settings: SimulatorSettings) -> None:
    shown = images(settings, 55)
    assert empty_frames(shown) == []
    assert empty_frames(shown[:25]) == []


def test_a_belt_at_rest_is_not_taken_for_empty() -> None:
    """Nothing tells fruit from belt while neither moves."""
    still = np.full((120, 160, 3), (40, 60, 160), np.uint8)
    still[40:80, 60:100] = 220, 180, 60
    frames = GivenFrames([Frame(n, n / 10, still) for n in range(30)])
    request = Request(direction="right", speed=100.0)
    told = finding(calibrate(gather(frames, 30, [], SilentProgress()), request, SilentProgress()))
    assert "look empty" not in told.how
    assert "name empty ones with --empty" in told.how


def test_too_few_frames_say_nothing() -> None:
    assert empty_frames([]) == []
    assert empty_frames(images(SMALL, 20)) == []


def test_stills_are_not_empty() -> None:
    stills = [cv2.imread(str(path)) for path in sorted(real_data("conveyor_frames").glob("*.png"))]
    small = [cv2.resize(still, (320, 240))[..., ::-1].copy() for still in stills if still is not None]
    assert empty_frames(small * (-(-24 // len(small)))) == []


@pytest.fixture(scope="module")
def clip() -> Mapping[int, Frame]:
    """Some frames of the clip by their number: the first 70, and then every second."""
    video, frames = cv2.VideoCapture(str(real_data("belt_video") / "egg_belt.mp4")), {}
    for number in range(420):
        read, bgr = video.read()
        assert read
        if number < 70 or number % 2 == 0:
            image = np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.uint8)
            frames[number] = Frame(number, number / 30, image)
    return frames


def test_frames_of_an_empty_mesh_need_no_name(clip: Mapping[int, Frame]) -> None:
    source = GivenFrames([clip[number] for number in range(70)])
    seen, named = (
        calibrate(gather(source, 70, empty, SilentProgress()), Request(), SilentProgress())
        for empty in ([], [range(70)])
    )
    told = finding(seen)
    assert told.how == "learned from 69 frames that look empty, 0 to 69; no frame shows fruit"
    assert told.sure == 0.6
    assert isinstance(seen.config.finder, PaletteSettings)
    assert isinstance(named.config.finder, PaletteSettings)
    assert seen.config.finder.min_diameter == pytest.approx(named.config.finder.min_diameter, rel=0.1)
    assert seen.config.finder.threshold == named.config.finder.threshold


def test_the_start_of_a_clip_is_seen_to_be_empty(clip: Mapping[int, Frame]) -> None:
    frames = [frame for number, frame in clip.items() if number % 2 == 0]
    told = finding(calibrate(gather(GivenFrames(frames), 900, [], SilentProgress()), Request(), SilentProgress()))
    assert "frames that look empty, " in told.how
    last = int(told.how.rsplit(" ", 1)[1])
    assert 60 <= last <= 84


@pytest.mark.parametrize(("first", "last"), [(100, 400), (150, 300), (150, 200), (300, 400), (360, 420)])
def test_a_mesh_with_eggs_is_not_empty(clip: Mapping[int, Frame], first: int, last: int) -> None:
    shown = [frame.image for number, frame in clip.items() if first <= number < last and frame.image is not None]
    assert empty_frames(shown) == []
