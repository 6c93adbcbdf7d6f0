"""Where labels come from when folders and CSVs could both give them, or none can."""

from pathlib import Path

import pytest
from photos import real_data, write_folders, write_photo

from mango_grader.datasets import Dataset, read_dataset
from mango_grader.datasets.splits import check_divisible, make_split
from mango_grader.errors import UsageError
from mango_grader.runtime.grading.sorting import sort_into
from mango_grader.runtime.grading.writers import EXCEL, PLAIN, Dialect, write_records
from mango_grader.runtime.inference.records import Record

GRADES = ("A", "B", "C")


def labels_of(data: Dataset) -> dict[str, str]:
    return {item.path: data.classes[item.label] for item in data.items}


def mangos(root: Path) -> Path:
    return write_folders(root, {"Healthy": 3, "Rot": 3})


def grade_all(root: Path, out: Path, dialect: Dialect = PLAIN) -> None:
    """Write what `grade` writes: another model's answers for every image of `root`."""
    images = sorted(root.rglob("*.png"))
    write_records(
        out,
        GRADES,
        (
            Record(str(path), GRADES[number % 3], (0.1, 0.2, 0.7), 0.7, 1, 1.0, 1.0, None)
            for number, path in enumerate(images)
        ),
        dialect=dialect,
    )


@pytest.mark.parametrize("dialect", [PLAIN, EXCEL])
def test_own_answers_never_become_labels(tmp_path: Path, dialect: Dialect) -> None:
    root = mangos(tmp_path)
    before = labels_of(read_dataset(root))
    grade_all(root, root / "grades.csv", dialect)
    data = read_dataset(root)
    assert labels_of(data) == before
    assert data.labels_line == "labels: folders, 2 classes"
    assert data.findings == ("not used for labels: grades.csv: it holds predictions of mango-grader, not labels",)
    with pytest.raises(UsageError, match="it holds predictions of mango-grader"):
        read_dataset(root / "grades.csv")


def test_own_answers_beside_a_label_csv_are_left_out(tmp_path: Path) -> None:
    write_folders(tmp_path, {"images": 2})
    (tmp_path / "labels.csv").write_text("image_id,label\n0001.png,Healthy\n0002.png,Rot\n")
    grade_all(tmp_path, tmp_path / "grades.csv")
    data = read_dataset(tmp_path)
    assert (data.classes, data.labels_from) == (("Healthy", "Rot"), "labels.csv")
    (tmp_path / "grades.csv.journal").write_text("{}\n")
    assert not any("journal" in line for line in read_dataset(tmp_path).findings)
    (tmp_path / "labels.csv").unlink()
    with pytest.raises(UsageError, match=r"no labels in .*grades\.csv: it holds predictions of mango-grader"):
        read_dataset(tmp_path)


def test_copies_that_grade_sorted_are_no_classes(tmp_path: Path) -> None:
    root = mangos(tmp_path)
    sort_into(root / "sorted", [], GRADES)
    write_photo(root / "sorted" / "A" / "copy.png", 5)
    data = read_dataset(root)
    assert data.classes == ("Healthy", "Rot")
    assert any("copies that mango-grader sorted" in line for line in data.findings)
    write_photo(root / "sorted" / "B" / "copy.png", 6)
    assert read_dataset(root / "sorted").classes == ("A", "B")  # Asked for by name, as after a person's corrections.


def test_folders_and_a_csv_that_disagree_are_refused(tmp_path: Path) -> None:
    root = mangos(tmp_path)
    (root / "day.csv").write_text("image_id,label\n0001.png,1\n0002.png,2\n0004.png,1\n")
    with pytest.raises(
        UsageError,
        match=r"day\.csv .* give different labels: Healthy/0001\.png is Healthy by its folder and 1 in the CSV",
    ) as told:
        read_dataset(root)
    assert f"pass {root / 'day.csv'} to use the CSV" in str(told.value)
    assert read_dataset(root / "day.csv").classes == ("1", "2")
    (root / "day.csv").write_text("image_id,label\n0001.png,healthy\n0002.png,Rot\n")
    with pytest.raises(UsageError, match=r"Healthy/0002\.png is Healthy by its folder and Rot in"):
        read_dataset(root)
    (root / "day.csv").write_text("image_id,label\n0001.png,Good\n")  # One of a folder's images, no set of its own.
    with pytest.raises(UsageError, match=r"Healthy/0001\.png is Healthy by its folder and Good in"):
        read_dataset(root)


def test_class_folders_win_before_csvs_are_counted(tmp_path: Path) -> None:
    root = mangos(tmp_path)
    (root / "list.csv").write_text("path,label\nHealthy/0001.png,Healthy\nRot/0004.png,rot\n")
    (root / "groups.csv").write_text("path,class,fruit\nHealthy/0001.png,Healthy,7\nRot/0004.png,Rot,8\n")
    data = read_dataset(root, "groups.csv:fruit")
    assert (data.classes, data.labels_from, set(data.groups) >= {"7", "8"}) == (("Healthy", "Rot"), "folders", True)
    assert read_dataset(root).labels_from == "folders"


def test_a_csv_of_groups_is_no_rival_of_class_folders(tmp_path: Path) -> None:
    root = mangos(tmp_path)
    rows = "".join(f"000{number}.png,{number}\n" for number in range(1, 7))
    (root / "fruits.csv").write_text(f"image,quality\n{rows}")
    with pytest.raises(UsageError, match="give different labels"):
        read_dataset(root)
    data = read_dataset(root, "fruits.csv:quality")
    assert (data.classes, data.groups) == (("Healthy", "Rot"), list("123456"))


REASONS = {
    "zeros": ("image_id,label\n1,A\n2,B\n", "leading zeros are missing: 1 in the CSV, images/0001.png in the folder"),
    "ending": (
        "image_id,label\n0001.jpg,A\n0002.jpg,B\n",
        "the file endings differ: 0001.jpg in the CSV, images/0001.png in",
    ),
    "addresses": ("image_id,label\nhttps://x.org/i?n=1,A\nhttps://x.org/i?n=2,B\n", "they are URLs"),
    "comment": ("# of 2024, by me\nimage_id,label\n0001.png,A\n", "its first line is a comment"),
    "titles": ("foto,sorte,tag\nx,A,3\ny,B,4\n", "it needs the columns image_id and label; it has: foto, sorte, tag"),
    "one_hot": ("image_id,A,B\n0001.png,1,0\n0002.png,0,1\n", "write the class names A, B into one column label"),
    "strangers": ("image_id,label\nx,A\ny,B\n", "its ids look like x, the image paths like "),
    "empty": ("image_id,label\n", "it has no rows"),
}


@pytest.mark.parametrize("case", REASONS)
def test_a_csv_that_cannot_be_used_says_why_instead_of_one_class_images(tmp_path: Path, case: str) -> None:
    text, reason = REASONS[case]
    write_folders(tmp_path, {"images": 2})
    (tmp_path / "labels.csv").write_text(text)
    for path in (tmp_path, tmp_path / "labels.csv"):
        with pytest.raises(UsageError) as told:
            read_dataset(path)
        assert reason in str(told.value)
        assert "\n" not in str(told.value)
    write_folders(tmp_path, {"A": 1, "B": 1}, seed=50)
    data = read_dataset(tmp_path)
    assert any("not used for labels: labels.csv" in line and reason in line for line in data.findings)


def test_a_csv_that_cannot_be_used_says_why_beside_flat_images(tmp_path: Path) -> None:
    write_photo(tmp_path / "0007.png", 7)
    (tmp_path / "labels.csv").write_text("id,label\n7,A\n")
    with pytest.raises(UsageError, match=r"leading zeros are missing: 7 in the CSV, 0007\.png in"):
        read_dataset(tmp_path)


def test_some_ids_that_lost_their_zeros_are_explained(tmp_path: Path) -> None:
    for number in (1, 2, 10):
        write_photo(tmp_path / "images" / f"{number:02d}.png", number)
    (tmp_path / "labels.csv").write_text("id,label\n1,A\n2,B\n10,B\n")
    data = read_dataset(tmp_path)
    assert data.paths == ["images/10.png"]
    assert any("leading zeros are missing: 1 in the CSV, images/01.png in" in line for line in data.findings)


def test_accents_are_found_however_they_are_encoded(tmp_path: Path) -> None:
    write_photo(tmp_path / "images" / "cafe\u0301.png", 1)
    (tmp_path / "labels.csv").write_text("image_id,label\ncaf\u00e9.png,A\n", encoding="utf-8")
    assert labels_of(read_dataset(tmp_path)) == {"images/cafe\u0301.png": "A"}


def test_a_set_one_level_too_deep_names_the_folder_to_pass(tmp_path: Path) -> None:
    write_folders(tmp_path, {"mangos/Healthy": 1, "mangos/Rot": 1})
    data = read_dataset(tmp_path)
    assert any(f"(Healthy, Rot), pass {tmp_path / 'mangos'}" in line for line in data.findings)
    with pytest.raises(UsageError, match=rf"pass {tmp_path / 'mangos'}"):
        make_split(data, 0)
    assert read_dataset(tmp_path / "mangos").nested is None
    write_folders(tmp_path / "flat", {"Healthy": 2})
    assert read_dataset(tmp_path / "flat").nested is None


def test_images_that_the_csv_does_not_cover_are_told(tmp_path: Path) -> None:
    write_folders(tmp_path, {"day1": 2, "day2": 2})
    (tmp_path / "labels.csv").write_text("0001,A\n0002,B\n")
    assert any("day2/0003.png" in line for line in read_dataset(tmp_path).findings)


@pytest.mark.parametrize("folders", [("test",), ("test", "val"), ("Testing", "dev")])
def test_test_folders_without_train_are_parts_and_training_says_so(tmp_path: Path, folders: tuple[str, ...]) -> None:
    write_folders(tmp_path, {f"{folder}/{name}": 6 for folder in folders for name in ("Healthy", "Rot")})
    data = read_dataset(tmp_path)
    assert data.classes == ("Healthy", "Rot")
    assert {item.part for item in data.items} == ({"test", "val"} if len(folders) > 1 else {"test"})
    with pytest.raises(UsageError, match=r"has only .*test/: train/ is missing"):
        check_divisible(data)


def test_parts_of_a_csv_are_those_of_the_folders(tmp_path: Path) -> None:
    write_folders(tmp_path, {"train/images": 2, "test/images": 2})
    (tmp_path / "labels.csv").write_text("0001,A\n0002,B\n0003,A\n0004,B\n")
    data = read_dataset(tmp_path)
    assert [item.part for item in data.items] == ["test", "test", "train", "train"]
    (tmp_path / "labels.csv").rename(tmp_path / "train" / "labels.csv")
    (tmp_path / "train" / "labels.csv").write_text("0001,A\n0002,B\n")
    (tmp_path / "test" / "labels.csv").write_text("0003,A\n0004,B\n")
    again = read_dataset(tmp_path)
    assert again.items == data.items
    assert again.labels_from == "test/labels.csv, train/labels.csv"


@pytest.mark.parametrize("name", ["mango_lesions", "aicup_mango_sample", "tomato_grades"])
def test_labels_of_real_sets_come_from_where_they_came(name: str) -> None:
    data = read_dataset(real_data(name))
    assert data.labels_from == ("folders" if name == "mango_lesions" else "labels.csv")
    assert data.findings == ()
