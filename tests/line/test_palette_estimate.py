"""Palettes without a frame of the empty belt: drawn belts, and stills."""

import numpy as np
import pytest
from belts import Disc, Image, draw_belt, draw_fruit_on

from mango_grader.errors import UsageError
from mango_grader.line.calibration import estimate_palette
from mango_grader.line.finders.palette import PaletteFinder

HEIGHT, WIDTH = 240, 480


def draw_stretch(count: int) -> list[tuple[Image, list[Disc]]]:
    """Return frames of a belt that moves 37 pixels from one to the next, with fruit on it, and where they lie."""
    places = [(-90 - 140 * n, 60 + 47 * (n % 4)) for n in range(count)]
    stretch = []
    for n in range(count):
        discs = [Disc(x + 137 * n, y, 27) for x, y in places]
        seen = [disc for disc in discs if -27 < disc.x < WIDTH + 27]
        stretch.append((draw_fruit_on(draw_belt(HEIGHT, WIDTH, 137 * n), seen), seen))
    return stretch


def test_what_repeats_is_the_belt() -> None:
    stretch = draw_stretch(12)
    estimate = estimate_palette([image for image, _ in stretch])
    assert estimate.how == "from what repeats in 12 frames"
    assert estimate.sureness > 0.9
    finder = PaletteFinder(estimate.settings)
    for image, discs in stretch:
        whole = [disc for disc in discs if 30 < disc.x < WIDTH - 30]
        found = finder.find(image)
        assert len(whole) <= len(found) <= len(discs)
        for disc in whole:
            assert min(np.hypot(blob.x - disc.x, blob.y - disc.y) for blob in found) < 4


def test_sizes_follow_from_the_fruit_that_are_seen() -> None:
    settings = estimate_palette([image for image, _ in draw_stretch(10)]).settings
    assert settings.min_diameter == pytest.approx(0.45 * 54, rel=0.1)


def test_a_belt_that_is_always_full_of_the_same_fruit_makes_unsure() -> None:
    rng = np.random.default_rng(0)
    frames = []
    for n in range(8):
        discs = [
            Disc(x + rng.integers(-9, 9), y + rng.integers(-9, 9), 30, tuple(rng.integers(90, 220, 3).tolist()))
            for x in range(0, WIDTH, 56)
            for y in range(0, HEIGHT, 56)
        ]
        frames.append(draw_fruit_on(draw_belt(HEIGHT, WIDTH, 17 * n), discs))
    assert estimate_palette(frames).sureness < 0.7


@pytest.mark.parametrize("grey", [False, True])
def test_a_still_is_told_by_its_margins(grey: bool) -> None:
    still = np.full((200, 240, 3), (18, 18, 20), np.uint8)
    still[30:170:35] = (40, 40, 44)  # rollers
    still = draw_fruit_on(still, [Disc(120, 100, 60), Disc(205, 60, 14, (90, 200, 90))])  # and a sticker beside it
    if grey:
        still = np.repeat(still.mean(axis=2, keepdims=True).astype(np.uint8), 3, axis=2)
    estimate = estimate_palette([still])
    assert estimate.how == "from the margins of 1 frame"
    assert estimate.sureness > 0.9
    (blob,) = PaletteFinder(estimate.settings).find(still)
    assert blob.complete
    assert np.hypot(blob.x - 120, blob.y - 100) < 3
    assert blob.area == pytest.approx(np.pi * 60**2, rel=0.06)


def test_a_fruit_that_reaches_over_one_side_of_a_still_is_no_belt() -> None:
    still = draw_fruit_on(np.full((200, 240, 3), (30, 34, 90), np.uint8), [Disc(20, 100, 50)])
    (blob,) = PaletteFinder(estimate_palette([still]).settings).find(still)
    assert not blob.complete


def test_a_still_without_anything_on_it_makes_unsure() -> None:
    estimate = estimate_palette([np.full((90, 120, 3), (30, 34, 90), np.uint8)])
    assert estimate.sureness == 0
    assert PaletteFinder(estimate.settings).find(np.full((90, 120, 3), (30, 34, 90), np.uint8)) == []


def test_estimates_are_repeatable() -> None:
    frames = [image for image, _ in draw_stretch(8)]
    assert estimate_palette(frames) == estimate_palette(frames)


def test_frames_that_teach_nothing_are_refused() -> None:
    with pytest.raises(UsageError, match="no frame to learn"):
        estimate_palette([])
    with pytest.raises(UsageError, match="the frames differ in size"):
        estimate_palette([np.zeros((90, 120, 3), np.uint8), np.zeros((90, 121, 3), np.uint8)])
