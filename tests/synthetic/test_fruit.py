from collections import Counter

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from mango_grader.datasets.probe import border_probe
from mango_grader.errors import UsageError
from mango_grader.synthetic import (
    BACKGROUNDS,
    Fruit,
    Kind,
    Series,
    grade_of,
    near_limit,
    thumb_area,
)

SIZE = 64  # Small images, enough of them to speak of shares.


@pytest.fixture(scope="module")
def fruit() -> list[Fruit]:
    return list(Series(5, size=SIZE).first(300))


@pytest.fixture(scope="module")
def labels(fruit: list[Fruit]) -> NDArray[np.int64]:
    return np.array(["ABC".index(one.grade) for one in fruit])


def test_a_fruit_depends_on_its_seed_and_number_only() -> None:
    first, again = list(Series(4, size=96).first(3)), Series(4, size=96).at(2)
    assert (first[2].image == again.image).all()
    assert (first[2].mask == again.mask).all()
    assert first[2].lesions == again.lesions
    assert (first[2].image != Series(40, size=96).at(2).image).any()
    assert (first[1].image != again.image).any()


def test_images_are_rgb_bytes_of_the_size_asked_for() -> None:
    one = Series(1, size=100).at(0)
    assert one.image.shape == one.clean.shape == (100, 100, 3)
    assert one.image.dtype == one.clean.dtype == one.mask.dtype == np.uint8
    assert one.mask.shape == (100, 100)
    assert one.outline.shape == (100, 100)


def test_the_grade_is_the_rule_on_the_masks_areas(fruit: list[Fruit]) -> None:
    for one in fruit:
        thumb = thumb_area(one.length)
        assert {found.kind for found in one.lesions} == {Kind(code) for code in np.unique(one.mask) if code}
        for found in one.lesions:
            assert found.area_px == (one.mask == found.kind).sum()
            assert found.area_thumbs == pytest.approx(found.area_px / thumb)
        assert one.grade == grade_of(one.lesions)


def test_every_kind_of_defect_grows(fruit: list[Fruit]) -> None:
    kinds = Counter(found.kind for one in fruit for found in one.lesions)
    assert all(kinds[kind] >= len(fruit) // 20 for kind in Kind)


def test_grades_are_balanced_and_some_fruit_are_hard(fruit: list[Fruit]) -> None:
    grades = Counter(one.grade for one in fruit)
    assert min(grades["A"], grades["B"], grades["C"]) >= 0.25 * len(fruit)
    assert sum(near_limit(one.lesions) for one in fruit) >= 0.10 * len(fruit)


@pytest.mark.parametrize("size", [96, 160])
def test_the_size_of_the_image_hardly_changes_the_severity(size: int) -> None:
    for index in range(12):
        large, small = Series(8, size=224).at(index), Series(8, size=size).at(index)
        assert small.severity == pytest.approx(large.severity, abs=0.05, rel=0.25)


def test_clean_twins_differ_only_at_the_defects() -> None:
    sound = spoilt = 0
    for one in Series(9, size=160).first(30):
        change = np.abs(one.image.astype(int) - one.clean).max(axis=2)
        around = cv2.dilate((one.mask > 0).astype(np.uint8), np.ones((3, 3)), iterations=12) > 0
        assert change[~around].max(initial=0) <= 3
        if one.lesions:
            assert change[one.mask > 0].mean() > 10
            spoilt += 1
        else:
            assert not change.any()
            sound += 1
    assert sound
    assert spoilt


def test_the_fruit_lies_whole_inside_the_image(fruit: list[Fruit]) -> None:
    for one in fruit[:60]:
        cover = one._surface.alpha
        assert max(cover[0].max(), cover[-1].max(), cover[:, 0].max(), cover[:, -1].max()) == 0
        assert cover.mean() > 0.12


def test_backgrounds_are_the_ones_asked_for_and_look_different() -> None:
    chosen = {one.background for one in Series(3, backgrounds=("wood", "belt")).first(20)}
    assert chosen == {"wood", "belt"}
    corners = {name: Series(3, size=64, backgrounds=(name,)).at(0).image[:8, :8] for name in BACKGROUNDS}
    assert len({corner.tobytes() for corner in corners.values()}) == len(BACKGROUNDS)
    assert {one.background for one in Series(3).first(200)} == set(BACKGROUNDS)


@pytest.mark.parametrize("name", BACKGROUNDS)
def test_a_background_is_light_of_the_size_asked_for(name: str) -> None:
    for seed in range(6):
        for size in (64, 101):
            light = BACKGROUNDS[name](np.random.default_rng(seed), size)
            assert light.shape == (size, size, 3)
            assert light.dtype == np.float32
            assert np.isfinite(light).all()
            assert 0.002 < light.mean() < 1.2


def test_the_background_and_the_border_do_not_tell_the_grade(fruit: list[Fruit], labels: NDArray[np.int64]) -> None:
    images = np.stack([one.image for one in fruit])
    result = border_probe(images, labels, [one.fruit_id for one in fruit], seed=0)
    assert result.accuracy <= result.majority + 0.05
    table = Counter((one.background, one.grade) for one in fruit)
    expected = len(fruit) / len(BACKGROUNDS) / 3
    surprise = sum((table[name, grade] - expected) ** 2 / expected for name in BACKGROUNDS for grade in "ABC")
    assert surprise < 52  # the 99.9 % point of chi-squared with its 29 degrees of freedom is 58


def test_a_model_needs_to_see_the_defects(fruit: list[Fruit], labels: NDArray[np.int64]) -> None:
    from sklearn.ensemble import RandomForestClassifier

    train, test = np.arange(len(fruit)) < 200, np.arange(len(fruit)) >= 200

    def accuracy(images: list[NDArray[np.uint8]]) -> float:
        features = np.stack([_features(image) for image in images])
        forest = RandomForestClassifier(200, random_state=0).fit(features[train], labels[train])
        return float(forest.score(features[test], labels[test]))

    majority = np.bincount(labels[test]).max() / test.sum()
    assert accuracy([one.clean for one in fruit]) <= majority + 0.10
    # The same features on the images with defects do tell something, so the probe could have found it.
    assert accuracy([one.image for one in fruit]) > majority + 0.10


def _features(image: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Colours of a coarse grid, and quantiles of darkness and of change over the middle of the image."""
    grey = image.mean(axis=2)
    middle = grey[10:-10, 10:-10]
    steep = np.hypot(*np.gradient(middle))
    cut = np.linspace(0, 1, 21)
    coarse = cv2.resize(image, (6, 6), interpolation=cv2.INTER_AREA).ravel()
    return np.concatenate([coarse, np.quantile(middle, cut), np.quantile(steep, cut)])


def test_views_show_one_fruit_from_several_sides() -> None:
    views = list(Series(6, size=96, views=3).first(2))
    assert [one.fruit_id for one in views] == ["6-00001"] * 3 + ["6-00002"] * 3
    assert len({one.background for one in views[:3]}) == 1
    assert len({one.image.tobytes() for one in views}) == 6
    assert (views[0].image == Series(6, size=96).at(0).image).all()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"size": 20}, "64 to 1024"),
        ({"backgrounds": ("moon",)}, "moon"),
        ({"seed": -1}, "seed"),
        ({"views": 0}, "view"),
    ],
)
def test_settings_that_cannot_be_used_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Series(**{"seed": 1, **settings})  # type: ignore[arg-type]


def test_defects_lie_on_the_fruit_and_the_fruit_on_the_image(fruit: list[Fruit]) -> None:
    for one in fruit:
        assert not (one.mask > 0)[~one.outline].any()
        assert 0.15 < one.outline.mean() < 0.8
