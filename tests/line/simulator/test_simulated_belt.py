"""The simulated belt: the same for the same seed, and its truth is what its frames show."""

from collections import Counter
from dataclasses import replace
from itertools import pairwise
from typing import Any

import cv2
import numpy as np
import pytest

from mango_grader.errors import UsageError
from mango_grader.line.simulator import PRESETS, Change, SimulatedBelt, SimulatorSettings
from mango_grader.line.sources import Source

SMALL = SimulatorSettings(
    fruit=12, seed=5, width=320, height=240, length_px=56, speed=240, empty_seconds=0.5, roll_steps=8
)
STOPS = (Change(at=1.5, seconds=1.0, factor=0.0), Change(at=3.5, seconds=0.8, factor=-0.6))


@pytest.fixture(scope="module")
def belt() -> SimulatedBelt:
    return SimulatedBelt(SMALL)


def test_the_same_settings_give_the_same_frames_whichever_came_before(belt: SimulatedBelt) -> None:
    frames = list(belt.frames())
    again = SimulatedBelt(SMALL)
    for index in (len(frames) // 2, 3, len(frames) - 1):
        one = again.frame(index)
        assert (one.image == frames[index].image).all()  # type: ignore[union-attr]
        assert (one.index, one.time, one.ticks, one.name) == (
            index, frames[index].time, frames[index].ticks, frames[index].name,
        )  # fmt: skip
    assert again.truth == belt.truth
    other = SimulatedBelt(replace(SMALL, seed=6))
    assert (other.frame(3).image != frames[3].image).any()
    assert other.truth != belt.truth


def test_it_is_a_source_whose_frames_may_start_anywhere() -> None:
    belt = SimulatedBelt(replace(SMALL, dropped=0.3, jitter=0.8))
    assert isinstance(belt, Source)
    frames = [(frame.index, frame.time) for frame in belt.frames()]
    assert 0.5 * len(belt) < len(frames) < 0.9 * len(belt)
    assert belt.counts.delivered == len(frames)
    assert belt.counts.missing == frames[-1][0] + 1 - len(frames)
    assert frames[0][1] >= 0
    assert all(a < b for (_, a), (_, b) in pairwise(frames))
    gaps = np.diff([time for _, time in frames]) / np.diff([index for index, _ in frames]) * SMALL.fps
    assert gaps.min() < 0.8
    assert gaps.max() > 1.2
    start = frames[20][0] - 1
    assert [(frame.index, frame.time) for frame in belt.frames(start)] == [one for one in frames if one[0] >= start]


@pytest.mark.parametrize("direction", ["right", "left", "down", "up"])
def test_the_truth_lies_where_the_frames_show_fruit(direction: Any) -> None:
    width, height = (320, 240) if direction in ("right", "left") else (240, 320)
    belt = SimulatedBelt(
        replace(SMALL, direction=direction, width=width, height=height, texture="plain", noise=0, light_drift=0)
    )
    axes = belt.settings.axes
    middle = len(belt) // 2
    clean = SimulatedBelt(replace(belt.settings, fruit=1, empty_seconds=60, run_out=False)).frame(0).image
    assert clean is not None
    shown = belt.shown(middle)
    assert len(shown) >= 3
    image = belt.frame(middle).image
    assert image is not None
    assert image.shape == (height, width, 3)
    for one in shown:
        if one.blob.complete:
            along, across = axes.place(one.blob.x, one.blob.y)
            assert abs(along - one.along) < 8
            assert abs(across - one.across) < 8
            inside = image[round(one.blob.y), round(one.blob.x)].astype(int)
            assert np.abs(inside - clean.reshape(-1, 3).mean(axis=0)).max() > 20
    covered = np.zeros((height, width), bool)
    for one in shown:
        box = one.blob.box
        covered[box.top : box.bottom, box.left : box.right] |= one.blob.mask
    warm = image[..., 0].astype(int) - image[..., 2] > 30  # The belt is blue or grey, mangoes are not.
    assert np.count_nonzero(warm & ~cv2.dilate(covered.astype(np.uint8), np.ones((3, 3))).astype(bool)) == 0
    assert np.count_nonzero(warm & covered) > 0.4 * np.count_nonzero(covered)


def test_grades_are_balanced_and_follow_the_rule() -> None:
    belt = SimulatedBelt(SimulatorSettings(fruit=180, seed=2))
    grades = Counter(truth.grade for truth in belt.truth)
    assert min(grades[grade] for grade in "ABC") >= 55
    assert all(truth.severity < 0.25 if truth.grade == "A" else truth.severity >= 0.25 for truth in belt.truth)
    assert Counter(truth.lane for truth in belt.truth) == {1: 90, 2: 90}


def test_fruit_pass_at_the_time_and_ticks_that_the_truth_says(belt: SimulatedBelt) -> None:
    line = belt.settings.belt.decision_line
    for truth in belt.truth:
        assert truth.status == "decided"
        assert truth.passed_frame is not None
        places = {
            index: one.along for index in (truth.passed_frame - 1, truth.passed_frame) for one in belt.shown(index)
            if one.number == truth.number
        }  # fmt: skip
        assert places[truth.passed_frame - 1] < line <= places[truth.passed_frame] + 1e-6
        assert truth.passed_time is not None
        before, after = belt.frame(truth.passed_frame - 1), belt.frame(truth.passed_frame)
        assert before.time < truth.passed_time <= after.time + 1e-6
        assert before.ticks is not None
        assert truth.passed_ticks is not None
        assert after.ticks is not None
        assert before.ticks <= truth.passed_ticks <= after.ticks
        assert truth.entered_frame is not None
        assert truth.entered_frame < truth.passed_frame


def test_a_stopped_belt_stands_still_and_a_reversed_one_moves_back() -> None:
    belt = SimulatedBelt(replace(SMALL, speed_changes=STOPS, jitter=0.0))
    ticks = np.array([belt.frame(index).ticks for index in range(len(belt))], float)
    times = np.array([belt.frame(index).time for index in range(len(belt))])
    still = (times > 1.75) & (times < 2.45)
    assert len(set(ticks[still])) == 1
    assert np.diff(ticks[(times > 3.75) & (times < 4.25)]).max() < 0
    frames = [truth.passed_frame for truth in belt.truth]
    assert None not in frames
    assert len(frames) == 12
    places = [{one.number: one.along for one in belt.shown(index)} for index in np.flatnonzero(still)[[0, -1]]]
    assert places[0] == places[1]


def test_belts_may_start_and_end_full() -> None:
    belt = SimulatedBelt(replace(SMALL, fruit=24, full_at_start=True, run_out=False))
    status = Counter(truth.status for truth in belt.truth)
    assert status["present at start"] >= 1
    assert status["incomplete"] >= 1
    assert status["decided"] >= 3
    assert len(belt.shown(0)) >= 3
    empty = SimulatedBelt(SMALL)
    assert empty.shown(0) == []
    assert empty.shown(int(0.5 * SMALL.fps)) == []


def test_fruit_roll_and_show_several_sides(belt: SimulatedBelt) -> None:
    assert all(truth.sides >= 3 for truth in belt.truth)
    seen: dict[int, list[np.ndarray[Any, Any]]] = {}
    for frame in belt.frames():
        assert frame.image is not None
        for one in belt.shown(frame.index):
            if one.blob.complete:
                x, y = round(one.blob.x), round(one.blob.y)
                seen.setdefault(one.number, []).append(frame.image[y - 12 : y + 12, x - 12 : x + 12].astype(int))
    changes = [np.abs(views[0] - views[len(views) // 2]).mean() for views in seen.values() if len(views) > 4]
    assert len(changes) >= 10
    assert np.median(changes) > 4


def test_touching_fruit_touch_and_others_do_not() -> None:
    belt = SimulatedBelt(replace(SMALL, fruit=40, touching=0.5, wander=0.0))
    touching = {truth.number for truth in belt.truth if truth.touching}
    assert 10 <= len(touching) <= 28
    joined: set[int] = set()
    for index in range(0, len(belt), 3):
        codes = np.zeros((240, 320), np.uint8)
        for one in belt.shown(index):
            box = one.blob.box
            codes[box.top : box.bottom, box.left : box.right][one.blob.mask] = one.number
        for number in np.unique(codes[codes > 0]):
            around = cv2.dilate((codes == number).astype(np.uint8), np.ones((5, 5))) > 0
            joined |= {int(other) for other in np.unique(codes[around & (codes > 0)]) if other > number}
    assert len(touching & joined) >= 0.9 * len(touching)
    assert len(joined - touching) <= 2


def test_foreign_things_lie_on_the_belt_and_have_no_grade() -> None:
    belt = SimulatedBelt(replace(SMALL, fruit=60, foreign=0.3))
    foreign = [truth for truth in belt.truth if not truth.is_fruit]
    assert {truth.kind for truth in foreign} == {"leaf", "stone", "sticker"}
    assert all(truth.grade is None and truth.length_mm is None for truth in foreign)
    assert sum(truth.is_fruit for truth in belt.truth) == 60
    shown = {one.kind for index in range(0, len(belt), 8) for one in belt.shown(index)}
    assert shown == {"mango", "leaf", "stone", "sticker"}


def test_light_changes_and_noise_reach_the_frames() -> None:
    flash = (Change(at=0.2, seconds=0.2, factor=1.5),)
    belt = SimulatedBelt(replace(SMALL, light_changes=flash, jitter=0.0, noise=3.0))
    before, bright = (belt.frame(index).image for index in (2, 6))
    assert before is not None
    assert bright is not None
    assert bright.mean() > 1.1 * before.mean()
    standing = SimulatedBelt(replace(SMALL, speed_changes=(Change(at=0, seconds=3, factor=0.0),), light_drift=0))
    difference = standing.frame(4).image.astype(int) - standing.frame(5).image  # type: ignore[union-attr]
    assert 1.5 < difference.std() < 4.5


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_makes_frames(name: str) -> None:
    settings = replace(PRESETS[name], fruit=4, empty_seconds=0.1, roll_steps=2)
    belt = SimulatedBelt(settings)
    frame = belt.frame(len(belt) // 2)
    assert frame.image is not None
    assert frame.image.shape == (settings.height, settings.width, 3)
    assert sum(truth.is_fruit for truth in belt.truth) == 4


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"turns": (2.0, 1.0)}, "turns"),
        ({"lanes": 8}, "too narrow"),
        ({"width": 120}, "too few"),
        ({"fps": 0.1}, "fps"),
        ({"light_changes": (Change(at=0, seconds=1, factor=-1),)}, "light"),
    ],
)
def test_settings_that_make_no_belt_are_refused(change: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        replace(SMALL, **change)
