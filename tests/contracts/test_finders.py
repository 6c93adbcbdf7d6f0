"""What every finder keeps. A new finder joins with one line of `SETTINGS`."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from belts import Disc, Image, draw_belt, draw_fruit_on
from detectors import write_detector

from mango_grader.line.belt import Axes, Belt, Camera
from mango_grader.line.calibration.palette import learn_palette
from mango_grader.line.finders import FINDERS, Finder, FinderSettings
from mango_grader.line.finders.detector import DetectorSettings
from mango_grader.line.finders.palette import PaletteSettings
from mango_grader.line.finders.whole_frame import WholeFrame
from mango_grader.line.observations import Blob

HEIGHT, WIDTH = 240, 480
FRUIT = (Disc(80, 70), Disc(200, 150, 26), Disc(330, 90, 34), Disc(420, 180))
SETTINGS: Mapping[str, Callable[[Path], FinderSettings]] = {
    "palette": lambda _: learn_belt(),
    "detector": lambda folder: DetectorSettings(
        str(write_detector(folder / "fruit.onnx", "columns")), threshold=0.12, overlap=0.3, palette=learn_belt()
    ),
    "whole-frame": lambda _: WholeFrame(),
}


def learn_belt() -> PaletteSettings:
    return learn_palette([draw_belt(HEIGHT, WIDTH, shift) for shift in range(0, 80, 7)])


FINDS_FRUIT = [name for name in SETTINGS if name != "whole-frame"]
IMAGES: Mapping[str, Image] = {
    "fruit": draw_fruit_on(draw_belt(HEIGHT, WIDTH, 13), FRUIT),
    "fruit at the border": draw_fruit_on(draw_belt(HEIGHT, WIDTH, 5), [Disc(0, 0), Disc(479, 120), Disc(240, 239, 50)]),
    "empty belt": draw_belt(HEIGHT, WIDTH, 31),
    "noise": np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8),
    "black": np.zeros((HEIGHT, WIDTH, 3), np.uint8),
    "white": np.full((HEIGHT, WIDTH, 3), 255, np.uint8),
    "green": np.full((HEIGHT, WIDTH, 3), (30, 220, 40), np.uint8),
    "odd size": draw_fruit_on(draw_belt(151, 337), [Disc(100, 75), Disc(336, 20)]),
    "large": draw_fruit_on(draw_belt(1203, 1607), [Disc(900, 600, 100), Disc(40, 1200, 80)]),
    "one pixel": np.full((1, 1, 3), 90, np.uint8),
    "one row": np.random.default_rng(1).integers(0, 256, (1, 700, 3), np.uint8),
    "one column": np.random.default_rng(2).integers(0, 256, (1500, 1, 3), np.uint8),
    "two pixels": np.array([[[255, 0, 0], [0, 255, 0]]], np.uint8),
    "a view of another array": np.random.default_rng(3).integers(0, 256, (300, 500, 4), np.uint8)[::-1, ::2, 2::-1],
}


def axes(image: Image, roi: tuple[tuple[float, float], ...] = ()) -> Axes:
    return Axes(Camera(image.shape[1], image.shape[0]), Belt("right", decision_line=0, roi=roi))


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, FinderSettings]:
    return {name: make(tmp_path_factory.mktemp(name)) for name, make in SETTINGS.items()}


@pytest.fixture(params=SETTINGS)
def finder(request: pytest.FixtureRequest, settings: Mapping[str, FinderSettings]) -> Finder:
    return settings[request.param].build(axes(IMAGES["fruit"]))


def same(one: list[Blob], other: list[Blob]) -> bool:
    return len(one) == len(other) and all(
        (a.box, a.x, a.y, a.complete) == (b.box, b.x, b.y, b.complete) and np.array_equal(a.mask, b.mask)
        for a, b in zip(one, other, strict=True)
    )


def test_every_finder_is_here(settings: Mapping[str, FinderSettings]) -> None:
    assert settings.keys() == FINDERS.keys()
    assert all(isinstance(made, FINDERS[name]) for name, made in settings.items())


@pytest.mark.parametrize("name", IMAGES)
def test_blobs_lie_in_the_frame_and_fit_their_boxes(name: str, finder: Finder) -> None:
    image = IMAGES[name]
    before = image.copy()
    blobs = finder.find(image)
    np.testing.assert_array_equal(image, before)
    for blob in blobs:
        box = blob.box
        assert 0 <= box.left < box.right <= image.shape[1]
        assert 0 <= box.top < box.bottom <= image.shape[0]
        assert blob.mask.shape == (box.height, box.width)
        assert blob.mask.dtype == np.bool_
        assert blob.mask.any(axis=0)[[0, -1]].all()  # the box is as small as it can be
        assert blob.mask.any(axis=1)[[0, -1]].all()
        rows, columns = np.nonzero(blob.mask)
        assert blob.x == pytest.approx(box.left + columns.mean(), abs=1e-6)
        assert blob.y == pytest.approx(box.top + rows.mean(), abs=1e-6)
        assert isinstance(blob.x, float)
        assert isinstance(blob.box.left, int)
    assert [blob.box.left for blob in blobs] == sorted(blob.box.left for blob in blobs)


def test_the_same_frame_gives_the_same_blobs_whatever_came_before(
    finder: Finder, settings: Mapping[str, FinderSettings], request: pytest.FixtureRequest
) -> None:
    image = IMAGES["fruit"]
    first = finder.find(image)
    for other in IMAGES.values():
        finder.find(other)
    assert same(finder.find(image), first)
    fresh = settings[request.node.callspec.params["finder"]].build(axes(image))
    assert same(fresh.find(image.copy()), first)


@pytest.mark.parametrize("name", FINDS_FRUIT)
def test_every_fruit_is_found_once_where_it_lies(name: str, settings: Mapping[str, FinderSettings]) -> None:
    image = IMAGES["fruit"]
    blobs = settings[name].build(axes(image)).find(image)
    assert len(blobs) == len(FRUIT)
    for blob, disc in zip(blobs, FRUIT, strict=True):
        assert np.hypot(blob.x - disc.x, blob.y - disc.y) < 4
        assert blob.area == pytest.approx(np.pi * disc.radius**2, rel=0.2)
        assert blob.complete


@pytest.mark.parametrize("name", FINDS_FRUIT)
def test_nothing_is_found_on_an_empty_belt(name: str, settings: Mapping[str, FinderSettings]) -> None:
    finder = settings[name].build(axes(IMAGES["fruit"]))
    for shift in range(2, 40, 6):
        assert finder.find(draw_belt(HEIGHT, WIDTH, shift, seed=9)) == []


@pytest.mark.parametrize("name", FINDS_FRUIT)
def test_fruit_at_the_border_is_not_complete(name: str, settings: Mapping[str, FinderSettings]) -> None:
    image = IMAGES["fruit at the border"]
    blobs = settings[name].build(axes(image)).find(image)
    assert [blob.complete for blob in blobs] == [False] * 3


@pytest.mark.parametrize("name", FINDS_FRUIT)
def test_fruit_outside_the_region_of_interest_is_left_out(name: str, settings: Mapping[str, FinderSettings]) -> None:
    image = IMAGES["fruit"]
    region = ((0.0, 0.0), (330.0, 0.0), (330.0, 240.0), (0.0, 240.0))
    blobs = settings[name].build(axes(image, region)).find(image)
    assert [blob.complete for blob in blobs] == [True, True, False]  # the third lies across the region's border
    assert max(blob.box.right for blob in blobs) <= 333
