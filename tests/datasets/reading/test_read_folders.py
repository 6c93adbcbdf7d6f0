import os
from pathlib import Path

import pytest
from photos import write_folders, write_photo

from mango_grader.datasets import read_dataset
from mango_grader.errors import UsageError


def test_folders_are_classes_with_their_spelling(tmp_path: Path) -> None:
    data = read_dataset(write_folders(tmp_path, {"Stem end": 2, "Healthy/day1": 1, "Healthy/day2": 1}))
    assert data.classes == ("Healthy", "Stem end")
    assert [(item.path, item.label) for item in data.items] == [
        ("Healthy/day1/0003.png", 0),
        ("Healthy/day2/0004.png", 0),
        ("Stem end/0001.png", 1),
        ("Stem end/0002.png", 1),
    ]
    assert data.labels.tolist() == [0, 0, 1, 1]
    assert not data.labels.flags.writeable
    assert data.groups == data.paths
    assert not data.ordinal
    assert data.findings == ()


def test_grade_folders_are_ordinal_unless_told_otherwise(tmp_path: Path) -> None:
    write_folders(tmp_path, {"B": 1, "A": 1})
    assert read_dataset(tmp_path).ordinal
    assert not read_dataset(tmp_path, ordinal=False).ordinal


@pytest.mark.parametrize("name", ["val", "valid", "dev", "Validation"])
def test_parts_by_folder(tmp_path: Path, name: str) -> None:
    data = read_dataset(write_folders(tmp_path, {"train/A": 2, f"{name}/A": 1, "test/B": 1, "Train/B": 1}))
    assert data.classes == ("A", "B")
    assert {item.path.split("/")[0]: item.part for item in data.items} == {
        "train": "train", "Train": "train", name: "val", "test": "test",
    }  # fmt: skip


def test_a_class_may_be_called_test(tmp_path: Path) -> None:
    data = read_dataset(write_folders(tmp_path, {"test": 1, "control": 1}))
    assert data.classes == ("control", "test")
    assert {item.part for item in data.items} == {None}


def test_oddities_are_findings(tmp_path: Path) -> None:
    write_folders(tmp_path, {"a": 1, "A": 1, "B": 1})
    write_photo(tmp_path / "stray.png", 9)
    write_photo(tmp_path / ".hidden" / "x.png", 9)
    write_photo(tmp_path / "__MACOSX" / "x.png", 9)
    write_photo(tmp_path / "B" / ".x.png", 9)
    (tmp_path / "C").mkdir()
    (tmp_path / "B" / "clip.mp4").write_bytes(b"")
    (tmp_path / "B" / "notes.txt").write_bytes(b"")
    Path(os.fsdecode(os.fsencode(tmp_path / "B") + b"/caf\xe9.png")).write_bytes(b"")
    data = read_dataset(tmp_path)
    assert data.classes == ("A", "a", "B")
    assert len(data.items) == 3
    assert len(data.findings) == 5
    for one in ("stray.png", "without images: C", "clip.mp4", "not valid text", "'A', 'a'"):
        assert sum(one in line for line in data.findings) == 1, one


def test_links_are_followed_but_not_for_ever(tmp_path: Path) -> None:
    write_folders(tmp_path / "store", {"x": 1})
    data = write_folders(tmp_path / "data", {"A": 1})
    (data / "B").symlink_to(tmp_path / "store" / "x")
    (data / "A" / "again").symlink_to(data)
    assert [item.path for item in read_dataset(data).items] == ["A/0001.png", "B/0001.png"]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda root: root / "absent", "no such folder"),
        (lambda root: root, "no image in"),
        (lambda root: write_photo(root / "one.png", 1), "needs the columns|UTF-8 CSV"),
        (lambda root: write_photo(root / "one.png", 1).parent, "one folder per class"),
    ],
)
def test_nothing_to_read_is_a_usage_error(tmp_path: Path, make: object, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        read_dataset(make(tmp_path))  # type: ignore[operator]
