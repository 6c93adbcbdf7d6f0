"""Finders on real footage: eggs on a mesh belt, fruit on rollers. Skipped where there is none."""

from collections.abc import Mapping

import cv2
import numpy as np
import pytest
from belts import Image
from photos import real_data

from mango_grader.line.calibration import estimate_palette, learn_palette
from mango_grader.line.finders.palette import PaletteFinder

EMPTY = range(0, 70, 3)
# Counted by eye: eggs that lie wholly in the frame; the palest, as white as the belt, lies in a group from 170 to 220.
WHOLE_EGGS = {150: 6, 170: 15, 190: 19, 205: 21, 220: 22, 300: 2, 360: 2, 420: 4}


@pytest.fixture(scope="module")
def clip() -> Mapping[int, Image]:
    """Frames of the clip by their number."""
    wanted = {*EMPTY, *range(0, 70, 7), *WHOLE_EGGS}
    video, frames = cv2.VideoCapture(str(real_data("belt_video") / "egg_belt.mp4")), {}
    for number in range(max(wanted) + 1):
        read, bgr = video.read()
        assert read
        if number in wanted:
            frames[number] = np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.uint8)
    return frames


@pytest.fixture(scope="module")
def finder(clip: Mapping[int, Image]) -> PaletteFinder:
    return PaletteFinder(learn_palette([clip[number] for number in EMPTY]))


def test_nothing_is_found_on_the_empty_mesh(clip: Mapping[int, Image], finder: PaletteFinder) -> None:
    for number in range(0, 70, 7):
        assert [blob for blob in finder.find(clip[number]) if blob.complete] == []


@pytest.mark.parametrize("number", WHOLE_EGGS)
def test_every_egg_but_the_palest_is_found_and_split_from_the_others(
    number: int, clip: Mapping[int, Image], finder: PaletteFinder
) -> None:
    whole = [blob for blob in finder.find(clip[number]) if blob.complete]
    missed = 2 if number in (170, 190, 205, 220) else 1
    assert WHOLE_EGGS[number] - missed <= len(whole) <= WHOLE_EGGS[number]
    assert all(blob.area > 2000 for blob in whole)
    assert sum(blob.area > 8000 for blob in whole) < missed  # the palest and its neighbour


@pytest.mark.parametrize("gain", [0.7, 1.3])
def test_an_exposure_jump_changes_the_count_of_eggs_by_two_at_most(
    gain: float, clip: Mapping[int, Image], finder: PaletteFinder
) -> None:
    for number in (190, 205, 420):
        brighter = np.clip(clip[number] * gain, 0, 255).astype(np.uint8)
        before, after = (sum(blob.complete for blob in finder.find(image)) for image in (clip[number], brighter))
        assert abs(before - after) <= 2
    assert not [blob for blob in finder.find(np.clip(clip[35] * gain, 0, 255).astype(np.uint8)) if blob.complete]


STICKER = {"C0_000006.png": (165, 130), "C1_000006.png": (163, 133)}


@pytest.mark.parametrize("name", [f"C{camera}_00000{pair}.png" for pair in (1, 4, 6, 7, 8) for camera in (0, 1)])
def test_a_still_of_rollers_shows_one_fruit(name: str) -> None:
    bgr = cv2.imread(str(real_data("conveyor_frames") / name), cv2.IMREAD_COLOR)
    assert bgr is not None
    still = np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.uint8)
    (blob,) = PaletteFinder(estimate_palette([still]).settings).find(still)
    assert blob.complete
    middle = still.shape[1] / 2, still.shape[0] / 2
    assert blob.box.left < middle[0] < blob.box.right
    assert blob.area > 0.12 * still.shape[0] * still.shape[1]
    if name in STICKER:
        x, y = STICKER[name]
        assert not (blob.box.left <= x < blob.box.right and blob.box.top <= y < blob.box.bottom)
