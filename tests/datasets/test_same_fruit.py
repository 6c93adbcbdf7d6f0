"""Photos of one fruit are found from another angle and distance; other fruit and a fixed background are not."""

from pathlib import Path

import numpy as np
import pytest
from fruit_scenes import background, write_scene
from photos import real_data

from mango_grader.datasets import Dataset, read_dataset
from mango_grader.datasets.duplicates import merge_groups
from mango_grader.datasets.same_fruit import FoundFruit, find_same_fruit
from mango_grader.datasets.scan import scan
from mango_grader.synthetic import Series, write_synthetic


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "mango-grader"


def found_in(folder: Path) -> tuple[Dataset, FoundFruit]:
    data = read_dataset(folder)
    return data, find_same_fruit(data, scan(data))


def names(data: Dataset, found: FoundFruit) -> set[tuple[str, str]]:
    stems = [Path(path).stem for path in data.paths]
    return {(stems[first], stems[second]) for first, second in found.matches.pairs}


def test_a_fixed_camera_makes_no_groups_of_what_it_always_sees(tmp_path: Path) -> None:
    floor = background("leaves")
    for number in range(24):
        write_scene(tmp_path / "AB"[number % 2], floor, number)
    for number in range(4):
        write_scene(tmp_path / "A", floor, number, photo=1)
    data, found = found_in(tmp_path)
    pairs = names(data, found)
    assert all(first.split("-")[0] == second.split("-")[0] for first, second in pairs)
    assert len(pairs) >= 3
    assert found.too_large == ()


def test_different_fruit_form_no_groups(tmp_path: Path) -> None:
    write_synthetic(tmp_path, 60, Series(seed=5, size=160))
    _, found = found_in(tmp_path)
    assert len(found.matches) <= 1
    assert found.too_large == ()


def test_mangoes_that_the_perceptual_hash_misses() -> None:
    """A third of the fruit with several photos, and as many photos of other fruit."""
    given = read_dataset(real_data("mango_lesions"), "groups.csv:fruit")
    hashed = read_dataset(real_data("mango_lesions"), "groups.csv:group").groups
    groups_of: dict[str, set[str]] = {}
    for item, group in zip(given.items, hashed, strict=True):
        groups_of.setdefault(item.group, set()).add(group)
    several = sorted(fruit for fruit, groups in groups_of.items() if len(groups) > 1)[::3]
    single = sorted(fruit for fruit, groups in groups_of.items() if len(groups) == 1)[:: len(groups_of) // 60]
    kept = [index for index, item in enumerate(given.items) if item.group in {*several, *single}]
    data = Dataset(given.root, given.classes, tuple(given.items[index] for index in kept))
    found = find_same_fruit(data, scan(data))
    fruit, before = [item.group for item in data.items], [hashed[index] for index in kept]
    right = np.array([fruit[first] == fruit[second] for first, second in found.matches.pairs])
    missed = len(set(before)) - len(set(fruit))
    merged = len(set(before)) - len(set(merge_groups(before, found.matches.pairs[right])))
    assert missed >= 20
    assert merged >= 0.9 * missed
    assert (~right).sum() <= 4
