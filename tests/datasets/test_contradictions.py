"""Fruit that carry two labels, found without any model."""

import shutil
from pathlib import Path

import pytest
from photos import real_data, write_folders

from mango_grader.datasets import read_dataset
from mango_grader.datasets.contradictions import Contradictions, find_contradictions
from mango_grader.datasets.relations import find_relations
from mango_grader.datasets.scan import scan


def found(root: Path, group_by: str | None = None) -> tuple[Contradictions, list[set[str]]]:
    data = read_dataset(root, group_by)
    contradictions = find_contradictions(find_relations(data, scan(data), check_given=True))
    return contradictions, [{data.paths[item] for item in each} for each in contradictions.sets]


def write_groups(root: Path, fruit: dict[str, str]) -> str:
    (root / "groups.csv").write_text("path,fruit\n" + "".join(f"{path},{name}\n" for path, name in fruit.items()))
    return "groups.csv:fruit"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_folders(tmp_path / "mangos", {"A": 8, "B": 8})


def test_copies_in_two_classes_are_one_fruit_with_two_labels(root: Path) -> None:
    shutil.copy(root / "A/0001.png", root / "B/copy.png")
    shutil.copy(root / "A/0002.png", root / "A/copy.png")
    contradictions, sets = found(root)
    assert sets == [{"A/0001.png", "B/copy.png"}]
    assert contradictions.groups_are_fruit


def test_a_given_group_with_two_labels_is_found(root: Path) -> None:
    fruit = {f"A/000{number}.png": f"f{number // 2}" for number in range(1, 8)}
    group_by = write_groups(root, {**fruit, "B/0009.png": "f3"})
    contradictions, sets = found(root, group_by)
    assert contradictions.groups_are_fruit is False or sets == [{"A/0006.png", "A/0007.png", "B/0009.png"}]
    assert len({contradictions.groups[item] for item in (5, 6)}) == 1


def test_groups_of_days_are_no_fruit(root: Path) -> None:
    shutil.copy(root / "A/0001.png", root / "B/copy.png")
    days = {f"{'A' if number < 9 else 'B'}/{number:04d}.png": f"day{number % 2}" for number in range(1, 17)}
    contradictions, sets = found(root, write_groups(root, days))
    assert not contradictions.groups_are_fruit
    assert sets == [{"A/0001.png", "B/copy.png"}], "what looks alike still counts"


def test_the_three_fruit_with_two_labels_of_the_mangoes_are_found(tmp_path: Path) -> None:
    mangoes = real_data("mango_lesions")
    pairs = [
        ("Alternaria/alternaria_011", "Stem_end_Rot/lasio_132"),
        ("Alternaria/alternaria_069", "Anthracnose/anthracnose_130"),
        ("Alternaria/alternaria_025", "Black_Mould_Rot/aspergillus_068"),
    ]
    expected = [{f"{one}.jpg", f"{other}.jpg"} for one, other in pairs]
    fruit = {path: str(number) for number, pair in enumerate(expected) for path in pair}
    others = sorted(path.relative_to(mangoes).as_posix() for path in mangoes.glob("Healthy/*.jpg"))[:6]
    for path in (*fruit, *others):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        shutil.copy(mangoes / path, tmp_path / path)
    _, sets = found(tmp_path)
    assert sorted(sets, key=sorted) == sorted(expected, key=sorted)
