from pathlib import Path

import pytest
from photos import write_folders, write_photo

from mango_grader.datasets import read_dataset
from mango_grader.errors import UsageError


@pytest.fixture
def fruit(tmp_path: Path) -> Path:
    for seed, name in enumerate(["f1_a.png", "f1_b.png", "f2_a.png", "odd.png"]):
        write_photo(tmp_path / "images" / name, seed)
    (tmp_path / "labels.csv").write_text(
        "image_id,label,fruit\nf1_a.png,A,one\nf1_b.png,B,one\nf2_a.png,A,two\nodd.png,B,\n"
    )
    (tmp_path / "extra.csv").write_text("path,tree\nimages/f1_a.png,t\nimages/f2_a.png,t\n")
    return tmp_path


@pytest.mark.parametrize(
    ("group_by", "groups"),
    [
        ("fruit", ["one", "one", "two", "images/odd.png"]),
        ("labels.csv:fruit", ["one", "one", "two", "images/odd.png"]),
        ("extra.csv:tree", ["t", "images/f1_b.png", "t", "images/odd.png"]),
        (r"re:^f\d", ["f1", "f1", "f2", "images/odd.png"]),
        (r"re:^f(\d)_(.)", ["1", "1", "2", "images/odd.png"]),
        (r"re:(x)?\.png", None),
    ],
)
def test_groups(fruit: Path, group_by: str, groups: list[str] | None) -> None:
    if groups is None:
        with pytest.raises(UsageError, match="none of the 4 images"):
            read_dataset(fruit, group_by)
        return
    data = read_dataset(fruit, group_by)
    assert data.groups == groups
    alone = [group for group in groups if group.startswith("images/")]
    assert len(data.findings) == 1
    assert f"{len(alone)} image" in data.findings[0]
    assert alone[0] in data.findings[0]


@pytest.mark.parametrize(
    ("group_by", "message"),
    [
        ("tree", "it has: image_id, label, fruit"),
        ("extra.csv:fruit", "it has: path, tree"),
        ("absent.csv:fruit", r"extra\.csv \(path, tree\), labels\.csv \(image_id, label, fruit\)"),
        ("../outside.csv:fruit", "no such CSV"),
        ("re:(", "not a valid pattern"),
        ("re:^zzz", "none of the 4 images"),
        ("bare.csv:b", "needs a column path or image_id"),
    ],
)
def test_options_that_name_nothing_say_what_there_is(fruit: Path, group_by: str, message: str) -> None:
    if group_by.startswith("bare"):
        (fruit / "bare.csv").write_text("a,b,c\n1,2,3\n")
    with pytest.raises(UsageError, match=message):
        read_dataset(fruit, group_by)


def test_class_folders_without_any_csv(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no CSV"):
        read_dataset(write_folders(tmp_path, {"A": 1, "B": 1}), "fruit")
