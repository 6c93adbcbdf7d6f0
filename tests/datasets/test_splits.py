from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from photos import write_folders, write_photo

from mango_grader.datasets import Dataset, Item, Shares, Split, make_split, parse_fold, read_dataset
from mango_grader.datasets.splits import assign_groups
from mango_grader.errors import UsageError

NO_PAIRS = np.empty((0, 2), np.int64)


def made(counts: dict[str, int], group_size: int = 1, part: str | None = None) -> Dataset:
    """A data set without files: `counts` groups of `group_size` images of each class."""
    items = [
        Item(f"{name}/{number:03d}-{view}.png", label, f"{name}{number}", part)
        for label, (name, count) in enumerate(counts.items())
        for number in range(count)
        for view in range(group_size)
    ]
    return Dataset(Path("/nowhere"), tuple(counts), tuple(items))


def parts_of(split: Split) -> dict[str, set[int]]:
    return {name: set(getattr(split, name)) for name in ("train", "val", "test")}


@settings(max_examples=60, deadline=None)
@given(
    labels=st.lists(st.integers(0, 3), min_size=12, max_size=60),
    seed=st.integers(0, 5),
    shares=st.sampled_from([(0.65, 0.15, 0.2), (1.0,) * 5, (1.0, 9.0)]),
    data=st.data(),
)
def test_groups_never_part_whatever_the_order(
    labels: list[int], seed: int, shares: tuple[float, ...], data: st.DataObject
) -> None:
    groups = data.draw(st.lists(st.sampled_from("abcdefghij"), min_size=len(labels), max_size=len(labels)))
    parts = assign_groups(np.array(labels), groups, shares, (seed,))
    assert len(set(zip(groups, parts.tolist(), strict=True))) == len(set(groups))
    order = data.draw(st.permutations(range(len(labels))))
    again = assign_groups(np.array(labels)[order], [groups[index] for index in order], shares, (seed,))
    assert np.array_equal(again, parts[order])


@settings(max_examples=40, deadline=None)
@given(sizes=st.lists(st.integers(1, 30), min_size=5, max_size=20), seed=st.integers(0, 9))
def test_a_class_of_enough_groups_reaches_every_part(sizes: list[int], seed: int) -> None:
    groups = [str(number) for number, size in enumerate(sizes) for _ in range(size)]
    parts = assign_groups(np.zeros(len(groups), np.int64), groups, (0.65, 0.15, 0.2), (seed,))
    assert set(parts.tolist()) == {0, 1, 2}


def test_proportions_hold_in_every_class() -> None:
    data = made({"A": 200, "B": 60, "C": 20}, group_size=2)
    split = make_split(data, 3, related=NO_PAIRS)
    for name, share in (("train", 0.65), ("val", 0.15), ("test", 0.2)):
        counts = np.bincount(data.labels[list(getattr(split, name))], minlength=3)
        assert np.abs(counts / np.bincount(data.labels) - share).max() <= 0.03
    half = make_split(data, 3, shares=Shares(2, 1, 1), related=NO_PAIRS)
    assert len(half.train) == pytest.approx(len(data.items) / 2, abs=6)


def test_parts_are_whole_disjoint_and_seeded() -> None:
    data = made({"A": 30, "B": 11}, group_size=3)
    split = make_split(data, 1, related=NO_PAIRS)
    parts = parts_of(split)
    assert sum(map(len, parts.values())) == len(data.items) == len(set.union(*parts.values()))
    groups = [{data.items[index].group for index in part} for part in parts.values()]
    assert len(set.union(*groups)) == sum(map(len, groups))
    assert make_split(data, 1, related=NO_PAIRS) == split
    assert make_split(data, 2, related=NO_PAIRS) != split


def test_folds_test_every_image_once_and_validate_on_others() -> None:
    data = made({"A": 17, "B": 9, "C": 5}, group_size=2)
    tested: list[int] = []
    for number in range(1, 6):
        split = make_split(data, 0, (number, 5), related=NO_PAIRS)
        parts = parts_of(split)
        assert len(set.union(*parts.values())) == sum(map(len, parts.values())) == len(data.items)
        for part in ("train", "val"):
            assert set(data.labels[list(parts[part])]) == {0, 1, 2}
        tested += split.test
    assert sorted(tested) == list(range(len(data.items)))
    assert make_split(data, 0, (2, 5), related=NO_PAIRS) != make_split(data, 1, (2, 5), related=NO_PAIRS)


def test_a_class_of_too_few_groups_is_refused_by_name() -> None:
    data = made({"A": 9, "B": 4, "C": 5}, group_size=5)
    with pytest.raises(UsageError, match="B has 4;") as caught:
        make_split(data, 0, related=NO_PAIRS)
    assert "C has" not in str(caught.value)
    joined = np.array([[data.paths.index("C/000-0.png"), data.paths.index("C/001-0.png")]])
    with pytest.raises(UsageError, match="B has 4, C has 4"):
        make_split(data, 0, related=joined)


@pytest.mark.parametrize(
    ("counts", "message"), [({"A": 9}, "only one class"), ({"A": 9, "B": 0}, "no readable training image of class B")]
)
def test_nothing_to_learn_is_refused(counts: dict[str, int], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        make_split(made(counts), 0, related=NO_PAIRS)


def test_near_duplicates_stay_together_across_groups(tmp_path: Path) -> None:
    write_folders(tmp_path, {"A": 12, "B": 12})
    for number in range(1, 13):
        write_photo(tmp_path / "A" / f"copy{number:04d}.jpg", number, quality=80)
    (tmp_path / "B" / "bad.png").write_bytes(b"not an image")
    data = read_dataset(tmp_path)
    bad = data.paths.index("B/bad.png")
    for seed in range(4):
        split = make_split(data, seed)
        parts = parts_of(split)
        where = {data.paths[index]: name for name, part in parts.items() for index in part}
        assert bad not in set.union(*parts.values())
        assert len(where) == len(data.items) - 1
        assert split.groups[data.paths.index("A/copy0001.jpg")] == "A/0001.png"
        assert len(set(split.groups)) == 25
        for number in range(1, 13):
            assert where[f"A/{number:04d}.png"] == where[f"A/copy{number:04d}.jpg"]


def test_given_parts_stand_and_missing_ones_come_from_train() -> None:
    items = (*made({"A": 9, "B": 8}, part="train").items, *made({"A": 2, "B": 2}, part="test").items)
    items = tuple(Item(f"{item.part}/{item.path}", item.label, f"{item.part}{item.group}", item.part) for item in items)
    data = Dataset(Path("/nowhere"), ("A", "B"), items)
    split = make_split(data, 0, related=NO_PAIRS)
    assert split.test == tuple(index for index, item in enumerate(items) if item.part == "test")
    assert split.val
    assert set(data.labels[list(split.val)]) == {0, 1}
    assert split.findings == ()
    with pytest.raises(UsageError, match="--fold"):
        make_split(data, 0, (1, 5), related=NO_PAIRS)
    crossing = make_split(data, 0, related=np.array([[0, len(items) - 1]]))
    assert parts_of(crossing) == parts_of(split)
    assert crossing.findings == ("1 pair of related images lies in several of the given parts",)

    whole = (
        made({"A": 1, "B": 1}, part="train").items
        + made({"A": 1}, part="val").items
        + made({"B": 1}, part="test").items
    )
    data = Dataset(Path("/nowhere"), ("A", "B"), whole)
    split = make_split(data, 0, related=NO_PAIRS)
    assert (split.train, split.val, split.test) == ((0, 1), (2,), (3,))
    assert split.findings == ("2 groups lie in several of the given parts",)


def test_saved_and_loaded_against_the_same_images(tmp_path: Path) -> None:
    data = made({"A": 9, "B": 8})
    split = make_split(data, 0, related=np.array([[2, 1]]))
    assert split.groups[1:4] == ("A1", "A1", "A3")
    split.save(tmp_path / "split.json", data)
    assert Split.load(tmp_path / "split.json", data) == split
    more = Dataset(data.root, data.classes, (Item("0/new.png", 0, "new"), *data.items))
    shifted = Split.load(tmp_path / "split.json", more)
    assert [more.paths[index] for index in shifted.test] == [data.paths[index] for index in split.test]
    fewer = Dataset(data.root, data.classes, data.items[1:])
    with pytest.raises(UsageError, match=r"names 1 images that .* lacks, as A/000-0\.png"):
        Split.load(tmp_path / "split.json", fewer)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not a saved split"),
        ("[]", "not a saved split"),
        ('{"schema": 1}', "not a saved split"),
        ('{"schema": 1, "train": [], "val": [], "test": [], "joined": [], "findings": []}', "not a saved split"),
        ('{"schema": 9, "train": [], "val": [], "test": [], "joined": {}, "findings": []}', "schema 9"),
        (
            '{"schema": 1, "train": ["A/000-0.png"], "val": ["A/000-0.png"], "test": [], "joined": {}, "findings": []}',
            "twice",
        ),
    ],
)
def test_a_damaged_split_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "split.json").write_text(text)
    with pytest.raises(UsageError, match=message):
        Split.load(tmp_path / "split.json", made({"A": 1}))


def test_folds_and_shares_are_checked() -> None:
    assert parse_fold(" 2/5 ") == (2, 5)
    for text in ("0/5", "6/5", "1/1", "1", "a/b", "1/5/2", "-1/5"):
        with pytest.raises(UsageError):
            parse_fold(text)
    with pytest.raises(UsageError, match="K/N"):
        make_split(made({"A": 9, "B": 9}), 0, (0, 5), related=NO_PAIRS)
    with pytest.raises(UsageError, match="positive"):
        Shares(val=0)
