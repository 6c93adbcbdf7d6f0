"""Photos of one fruit are found from another angle and distance; other fruit and a fixed background are not."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from fruit_scenes import background, spotted, write_scene, write_spotted
from photos import real_data
from PIL import Image

from mango_grader.datasets import Dataset, make_split, read_dataset
from mango_grader.datasets.duplicates import merge_groups
from mango_grader.datasets.same_fruit import FoundFruit, FruitMatches, find_same_fruit
from mango_grader.datasets.scan import scan
from mango_grader.synthetic import Series, write_synthetic


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "mango-grader"


def found_in(folder: Path) -> tuple[Dataset, FoundFruit]:
    data = read_dataset(folder)
    return data, find_same_fruit(data, scan(data))


def write(image: Image.Image, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)


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


def test_what_occurs_in_many_images_joins_none(tmp_path: Path) -> None:
    """Each image shows its own fruit, and the same ruler somewhere else."""
    ruler = spotted(99, 60)
    for number in range(30):
        image, rng = spotted(number), np.random.default_rng(number)
        if number < 20:
            image.paste(ruler.resize((70, 90)), (int(rng.integers(10, 80)), int(rng.integers(10, 60))))
        write(image, tmp_path / "AB"[number % 2] / f"{number}.png")
    _, found = found_in(tmp_path)
    assert (len(found.matches), found.too_large) == (0, ())
    few = tmp_path / "few"
    for number in (0, 3):
        image = spotted(number)
        image.paste(ruler.resize((70, 90)), (10 + 20 * number, 20 + 15 * number))
        write(image, few / "AB"[number % 2] / f"{number}.png")
    assert len(found_in(few)[1].matches) == 1


def test_a_chain_of_images_that_is_too_long_is_reported_and_not_grouped(tmp_path: Path) -> None:
    strip = spotted(0, 160 + 15 * 60)
    for number in range(16):
        write(strip.crop((60 * number, 0, 60 * number + 160, 160)), tmp_path / "A" / f"{number:02d}.png")
    for number in range(16):
        write(spotted(number + 1), tmp_path / "B" / f"{number:02d}.png")
    data, found = found_in(tmp_path)
    assert [len(items) for items in found.too_large] == [16]
    assert len(found.matches) == 0
    split = make_split(data, 0)
    assert len(set(split.groups)) == 32
    assert "16 images seem to show one fruit, too many to believe (A/00.png, " in split.findings[0]


@pytest.mark.parametrize("seed", range(4))
def test_a_split_keeps_what_was_found_in_one_part(tmp_path: Path, seed: int) -> None:
    data = read_dataset(write_spotted(tmp_path))
    split = make_split(data, seed)
    part = {data.paths[item]: name for name in ("train", "val", "test") for item in getattr(split, name)}
    assert part["A/0.png"] == part["A/again.png"]
    assert part["A/1.png"] == part["B/other.png"]
    assert len(set(split.groups)) == 16
    assert len(set(make_split(read_dataset(tmp_path, "none"), seed).groups)) == 18


def test_groups_that_were_given_stay_as_they_are(tmp_path: Path) -> None:
    data = read_dataset(write_spotted(tmp_path), r"re:^.")
    assert make_split(data, 0).groups == tuple(data.groups)


def test_the_same_files_give_the_same_pairs_from_the_cache_or_not(tmp_path: Path, own_cache: Path) -> None:
    data = read_dataset(write_spotted(tmp_path / "data"))
    facts = scan(data)
    first = find_same_fruit(data, facts)
    assert names(data, first) == {("0", "again"), ("1", "other")}
    (kept,) = own_cache.glob("same-fruit-*.npz")
    whole = kept.read_bytes()
    moved = shutil.move(data.root, tmp_path / "moved")  # the images are not read a second time
    again = find_same_fruit(data, facts)
    kept.write_bytes(whole[:-100])
    other = read_dataset(moved)
    anew = find_same_fruit(other, scan(other, workers=3))
    for found in (again, anew):
        assert np.array_equal(found.matches.pairs, first.matches.pairs)
        assert np.array_equal(found.matches.points, first.matches.points)
    assert kept.read_bytes() == whole
    Path(moved, "A", "again.png").rename(Path(moved, "A", "00.png"))
    renamed = read_dataset(moved)
    assert names(renamed, find_same_fruit(renamed, scan(renamed))) == {("0", "00"), ("1", "other")}


def test_pairs_keep_their_points_under_other_numbers() -> None:
    points = np.arange(12, dtype=np.float32).reshape(3, 4)
    matches = FruitMatches(np.array([[0, 1], [1, 2]]), np.array([1, 2]), points)
    other = matches.renumbered(np.array([7, 5, 6]))
    assert other.pairs.tolist() == [[5, 6], [5, 7]]
    assert other.inliers.tolist() == [2, 1]
    assert other.points_of(0).tolist() == points[1:].tolist()
    assert other.points_of(1).tolist() == [[2, 3, 0, 1]]
    assert other.only(np.array([False, True])).points.tolist() == [[2, 3, 0, 1]]


def test_a_cache_that_cannot_be_written_stops_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert len(found_in(write_spotted(tmp_path / "data"))[1].matches) == 2


def test_small_images_have_no_fruit_to_find(tmp_path: Path) -> None:
    for number in range(30):
        write(spotted(number).resize((32, 32)), tmp_path / "AB"[number % 2] / f"{number}.png")
    assert len(found_in(tmp_path)[1].matches) == 0


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
