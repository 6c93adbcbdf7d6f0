"""Answers that search_pays kept, paired over folds of several seeds."""

from typing import Any

import click
import pytest

from benchmarks.suite.search_pays import DEFAULT
from benchmarks.suite.search_pays_pooled import MEAN, gains


def seed_of_folds(ours: list[str], theirs: list[str]) -> dict[str, Any]:
    """Return what search_pays keeps: two folds; `theirs` in another order of images."""
    images = {f"{place}.jpg": f"fruit {place // 2}" for place in range(8)}
    folds = [dict(list(images.items())[:4]), dict(list(images.items())[4:])]
    found = {}
    for number, fold in enumerate(folds, start=1):
        at = slice(4 * number - 4, 4 * number)
        found[f"{DEFAULT}/{number}"] = {"images": fold, "correct": [each[at] for each in ours]}
        turned = dict(reversed(fold.items()))
        found[f"rival/{number}"] = {"images": turned, "correct": [each[at][::-1] for each in theirs]}
    return found


def test_each_exit_and_their_mean_are_paired_by_image_within_a_seed() -> None:
    first = seed_of_folds(["11110000", "11111100"], ["11110000", "11110000"])
    second = seed_of_folds(["11110000", "11111111"], ["11000000", "11111111"])
    found = gains("rival", [first, second])
    assert list(found) == ["exit 1", "exit 2", MEAN]
    assert [row["n"] for row in found.values()] == [16, 16, 16]
    assert [row["gain"]["value"] for row in found.values()] == pytest.approx([2 / 16, 2 / 16, 2 / 16])
    assert found["exit 2"]["search"]["value"] == pytest.approx(14 / 16)
    same = gains("rival", [seed_of_folds(["10101010", "11001100"], ["10101010", "11001100"])])
    assert all(row["gain"]["low"] == row["gain"]["high"] == 0 for row in same.values())


def test_networks_of_other_images_are_refused() -> None:
    figures = seed_of_folds(["11110000"], ["11110000"])
    del figures["rival/2"]
    with pytest.raises(click.UsageError, match="not tested on the same images"):
        gains("rival", [figures])
