import numpy as np
import pytest
from photos import photo

from mango_grader.datasets.probe import ProbeResult, border_features, border_probe
from mango_grader.errors import UsageError


def images(count: int, size: tuple[int, int] = (32, 32)) -> np.ndarray:
    return np.stack([np.asarray(photo(seed, size)) for seed in range(count)])


def test_features_are_border_means_and_nothing_else() -> None:
    pixels = images(2, (50, 37))
    features = border_features(pixels)
    assert features.shape == (2, 180)
    inside = pixels.copy()
    inside[:, 3:-3, 4:-4] = 0
    assert np.array_equal(border_features(inside), features)
    assert np.allclose(features[0, :3], pixels[0, :2, :3].mean((0, 1)))
    assert np.allclose(features[0, -3:], pixels[0, 34:, 46:].mean((0, 1)))
    with pytest.raises(UsageError, match="at least 16 pixels"):
        border_features(pixels[:, :15])


def test_a_border_that_tells_the_label_is_suspicious() -> None:
    pixels = images(90)
    labels = np.arange(90) % 3
    for index, label in enumerate(labels):
        pixels[index, :3] = 80 * label
    result = border_probe(pixels, labels, list(map(str, range(90))))
    assert result.accuracy > 0.9
    assert result.majority == pytest.approx(1 / 3)
    assert result.suspicious


def test_a_border_without_the_label_is_not() -> None:
    labels = np.repeat([0, 1], [60, 30])
    result = border_probe(images(90), np.random.default_rng(0).permutation(labels), list(map(str, range(90))))
    assert abs(result.margin) < 0.15
    assert result.majority == pytest.approx(2 / 3)
    assert not result.suspicious


def test_groups_are_not_split_over_folds() -> None:
    views = np.repeat(images(30), 10, axis=0)
    labels = np.repeat(np.random.default_rng(1).permutation(np.arange(30) % 2), 10)
    leaking = border_probe(views, labels, list(map(str, range(300))))
    by_group = border_probe(views, labels, [str(index // 10) for index in range(300)])
    assert leaking.accuracy > 0.95
    assert by_group.accuracy < 0.75
    assert by_group.groups == 30
    assert border_probe(views, labels, ["a"] * 150 + ["b"] * 150).groups == 2
    with pytest.raises(UsageError, match="at least 2 groups"):
        border_probe(views, labels, ["one"] * 300)


def test_a_margin_within_its_uncertainty_is_not_suspicious() -> None:
    assert ProbeResult(0.60, 0.40, 100).suspicious
    assert not ProbeResult(0.60, 0.40, 10).suspicious
    assert not ProbeResult(0.44, 0.40, 100_000).suspicious
