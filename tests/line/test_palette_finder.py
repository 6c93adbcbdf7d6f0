"""The palette finder on drawn belts: touching fruit, light that changes, and what its settings do."""

from dataclasses import replace

import numpy as np
import pytest
from belts import Disc, Image, draw_belt, draw_fruit_on

from mango_grader.errors import UsageError
from mango_grader.line.belt import Axes, Belt, Camera
from mango_grader.line.calibration.palette import learn_palette
from mango_grader.line.finders.palette import PaletteFinder, PaletteSettings
from mango_grader.settings import checked_section, plain

HEIGHT, WIDTH = 400, 640
AXES = Axes(Camera(WIDTH, HEIGHT), Belt("right", decision_line=0))


@pytest.fixture(scope="module")
def settings() -> PaletteSettings:
    return learn_palette([draw_belt(HEIGHT, WIDTH, shift) for shift in range(0, 60, 7)])


@pytest.fixture(scope="module")
def finder(settings: PaletteSettings) -> PaletteFinder:
    return settings.build(AXES)


def places(finder: PaletteFinder, image: Image) -> list[tuple[int, int]]:
    return [(round(blob.x), round(blob.y)) for blob in finder.find(image)]


def near(found: list[tuple[int, int]], discs: list[Disc], within: float = 6) -> bool:
    expected = sorted(discs, key=lambda disc: disc.x - disc.radius)
    return len(found) == len(discs) and all(
        min(np.hypot(x - disc.x, y - disc.y) for x, y in found) < within for disc in expected
    )


@pytest.mark.parametrize("angle", [0.0, 0.5, 1.1, np.pi / 2, 2.2])
def test_two_touching_fruit_are_two(finder: PaletteFinder, angle: float) -> None:
    discs = [Disc(300 + side * 29 * np.cos(angle), 200 + side * 29 * np.sin(angle)) for side in (-1, 1)]
    assert near(places(finder, draw_fruit_on(draw_belt(HEIGHT, WIDTH, 3), discs)), discs)


def test_a_group_of_twenty_five_touching_fruit_is_taken_apart(finder: PaletteFinder) -> None:
    discs = [Disc(120 + 53 * column + 26 * (row % 2), 70 + 48 * row, 26.5) for row in range(5) for column in range(5)]
    assert near(places(finder, draw_fruit_on(draw_belt(HEIGHT, WIDTH, 3), discs)), discs)


def test_an_oblong_fruit_is_one(finder: PaletteFinder) -> None:
    body = [Disc(250 + 4 * step, 200 + step, 32) for step in range(20)]
    assert len(places(finder, draw_fruit_on(draw_belt(HEIGHT, WIDTH, 3), body))) == 1


@pytest.mark.parametrize("gain", [0.7, 0.85, 1.15, 1.3])
def test_an_exposure_jump_changes_nothing(finder: PaletteFinder, gain: float) -> None:
    discs = [Disc(100, 100), Disc(300, 200), Disc(356, 200), Disc(520, 330, 40)]
    image = draw_fruit_on(draw_belt(HEIGHT, WIDTH, 8), discs)
    brighter = np.clip(image * gain, 0, 255).astype(np.uint8)
    assert near(places(finder, brighter), discs)
    assert places(finder, np.clip(draw_belt(HEIGHT, WIDTH, 21) * gain, 0, 255).astype(np.uint8)) == []


def test_a_change_of_the_white_balance_changes_nothing(finder: PaletteFinder) -> None:
    discs = [Disc(100, 100), Disc(300, 200), Disc(520, 330, 40)]
    image = draw_fruit_on(draw_belt(HEIGHT, WIDTH, 8), discs) * np.array([1.07, 1.0, 0.93])
    assert near(places(finder, np.clip(image, 0, 255).astype(np.uint8)), discs)


@pytest.fixture(scope="module", params=[1.0, 1.1, 1.2], ids=["grey", "light grey", "white"])
def brightness(request: pytest.FixtureRequest) -> float:
    return float(request.param)


@pytest.fixture(scope="module")
def bright_finder(brightness: float) -> PaletteFinder:
    return learn_palette([lit(draw_belt(HEIGHT, WIDTH, shift), brightness) for shift in range(0, 60, 7)]).build(AXES)


def lit(image: Image, gain: float, tint: tuple[float, float, float] = (1.0, 1.0, 1.0)) -> Image:
    return np.clip(image * (gain * np.array(tint)), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("tint", [(1.0, 1.0, 1.0), (0.985, 1.005, 0.98), (1.02, 1.0, 0.98)])
@pytest.mark.parametrize("gain", [0.75, 1.0, 1.1, 1.2, 1.3])
def test_a_bright_belt_below_light_that_drifts_or_cuts_it_off_is_not_taken_for_fruit(
    bright_finder: PaletteFinder, brightness: float, gain: float, tint: tuple[float, float, float]
) -> None:
    discs = [Disc(100, 100), Disc(300, 200), Disc(356, 200), Disc(520, 330, 40)]
    image = draw_fruit_on(draw_belt(HEIGHT, WIDTH, 8), discs)
    assert near(places(bright_finder, lit(image, brightness * gain, tint)), discs)
    assert places(bright_finder, lit(draw_belt(HEIGHT, WIDTH, 21), brightness * gain, tint)) == []


def test_without_matching_the_light_an_exposure_jump_is_seen_as_fruit(settings: PaletteSettings) -> None:
    fixed = replace(settings, light=False).build(AXES)
    bluish = np.clip(draw_belt(HEIGHT, WIDTH, 8) * np.array([0.95, 1.0, 1.06]), 0, 255).astype(np.uint8)
    assert places(fixed, bluish) != []
    assert places(settings.build(AXES), bluish) == []


def test_sizes_are_limits(settings: PaletteSettings) -> None:
    discs = [Disc(100, 100, 12), Disc(300, 200, 30), Disc(480, 250, 60)]
    image = draw_fruit_on(draw_belt(HEIGHT, WIDTH, 3), discs)
    limited = replace(settings, min_diameter=40.0, max_diameter=80.0).build(AXES)
    assert near(places(limited, image), [discs[1]])
    assert len(places(replace(settings, min_diameter=10.0, smallest=0.0).build(AXES), image)) == 3


def test_large_frames_are_searched_at_a_reduced_size_and_found_in_their_own_pixels(settings: PaletteSettings) -> None:
    discs = [Disc(300, 200, 90), Disc(600, 500, 80), Disc(761, 505, 80), Disc(1100, 300, 85)]
    image = draw_fruit_on(draw_belt(720, 1280, 11), discs)
    blobs = settings.build(Axes(Camera(1280, 720), Belt("right", decision_line=0))).find(image)
    assert near([(round(blob.x), round(blob.y)) for blob in blobs], discs)
    for blob, disc in zip(blobs, discs, strict=True):
        assert blob.area == pytest.approx(np.pi * disc.radius**2, rel=0.08)


def test_settings_are_plain_numbers_that_give_the_same_finder(settings: PaletteSettings) -> None:
    again = checked_section(PaletteSettings, plain(settings), "finder")
    assert again == settings
    assert len(settings.colours) <= 96
    image = draw_fruit_on(draw_belt(HEIGHT, WIDTH, 3), [Disc(300, 200)])
    assert [blob.box for blob in again.build(AXES).find(image)] == [
        blob.box for blob in settings.build(AXES).find(image)
    ]


@pytest.mark.parametrize("colours", [(), ((50.0, 0.0, 0.0, 0.0),)])
def test_a_palette_without_colours_is_refused(colours: tuple[tuple[float, float, float, float], ...]) -> None:
    with pytest.raises(UsageError, match=r"^finder: colours has a row of four numbers"):
        PaletteSettings(colours)


def test_no_frames_teach_nothing() -> None:
    with pytest.raises(UsageError, match="no frame of the empty belt"):
        learn_palette([])


def test_learning_is_repeatable(settings: PaletteSettings) -> None:
    assert learn_palette([draw_belt(HEIGHT, WIDTH, shift) for shift in range(0, 60, 7)]) == settings


def test_what_is_much_smaller_than_the_fruit_beside_it_is_left_out(settings: PaletteSettings) -> None:
    leaf, fruit = Disc(100, 100, 12), [Disc(300, 200, 32), Disc(480, 250, 36)]
    finder = replace(settings, min_diameter=10.0).build(AXES)
    assert near(places(finder, draw_fruit_on(draw_belt(HEIGHT, WIDTH, 3), [leaf, *fruit])), fruit)
    assert near(places(finder, draw_fruit_on(draw_belt(HEIGHT, WIDTH, 3), [leaf])), [leaf])
