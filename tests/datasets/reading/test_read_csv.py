from pathlib import Path

import pytest
from photos import write_folders, write_photo

from mango_grader.datasets import Dataset, read_dataset
from mango_grader.errors import UsageError


def labels_of(data: Dataset) -> dict[str, str]:
    return {item.path: data.classes[item.label] for item in data.items}


def make(root: Path, text: str, names: tuple[str, ...] = ("a.png", "b.png"), folder: str = "images") -> Path:
    for seed, name in enumerate(names):
        write_photo(root / folder / name, seed)
    (root / "labels.csv").write_text(text, encoding="utf-8")
    return root


@pytest.mark.parametrize(
    "text",
    [
        "image_id,label\na.png,A\nb.png,B\n",
        "a.png,A\nb.png,B\n",
        "a,A\nb,B",
        "\ufeffimage_id,label\r\na.png,A\r\nb.png,B\r\n",
        "image_id;label;weight\na;A;3\n\nb;B;4\n",
        "Grade\tsite\tFile Name\nA\tx\ta\nB\ty\tb\n",
        "foto,sorte\na.png,A\nb.png,B\n",
        "image_id,label\nimages/a.png,A\n.\\images\\b.png,B\n",
        "image_id,label\n a.PNG ,A\nB,B\n",
        'image_id,label\n"a.png","A"\n"b.png","B"\n',
    ],
)
@pytest.mark.parametrize("folder", ["images", "C1-P1_Train", "deep/er"])
def test_every_usual_csv_is_read(tmp_path: Path, text: str, folder: str) -> None:
    root = make(tmp_path, text.replace("images", folder), folder=folder)
    expected = {f"{folder}/a.png": "A", f"{folder}/b.png": "B"}
    assert labels_of(read_dataset(root)) == expected
    by_path = read_dataset(root / "labels.csv")
    assert labels_of(by_path) == expected
    assert by_path.root == root
    assert by_path.ordinal
    assert by_path.findings == ()


def test_images_wins_over_folders_of_the_same_names(tmp_path: Path) -> None:
    make(tmp_path, "image_id,label\na.png,A\nb.png,B\n")
    make(tmp_path, "image_id,label\na.png,A\nb.png,B\n", folder="clean")
    make(tmp_path, "image_id,label\na.png,A\nb.png,B\n", folder="masks")
    (tmp_path / "lesions.csv").write_text("image_id,kind,area\na.png,spot,3\na.png,spot,4\nb.png,rot,9\n")
    data = read_dataset(tmp_path)
    assert data.paths == ["images/a.png", "images/b.png"]
    assert data.findings == ()


def test_ids_spread_over_folders_are_found_by_name(tmp_path: Path) -> None:
    write_folders(tmp_path, {"images/day1": 2, "images/day2": 1})
    (tmp_path / "labels.csv").write_text("0001,A\n0002,B\n0003,B\n")
    assert labels_of(read_dataset(tmp_path)) == {
        "images/day1/0001.png": "A",
        "images/day1/0002.png": "B",
        "images/day2/0003.png": "B",
    }


def test_class_folders_win_over_a_csv_about_them(tmp_path: Path) -> None:
    write_folders(tmp_path, {"A": 1, "B": 1})
    (tmp_path / "groups.csv").write_text("path,label,group\nA/0001.png,A,7\nB/0002.png,B,7\n")
    data = read_dataset(tmp_path)
    assert labels_of(data) == {"A/0001.png": "A", "B/0002.png": "B"}
    with pytest.raises(UsageError, match=r"groups\.csv \(path, label, group\)"):
        read_dataset(tmp_path, group_by="group")
    assert read_dataset(tmp_path, group_by="groups.csv:group").groups == ["7", "7"]


def test_oddities_are_findings_and_never_stop(tmp_path: Path) -> None:
    text = "image_id,label\na,A\nb,B\nc,A\nc,B\nd,\nb,B\nlost.png,A\nf, \n"
    data = read_dataset(make(tmp_path, text, tuple(f"{name}.png" for name in "abcdef")))
    assert labels_of(data) == {"images/a.png": "A", "images/b.png": "B"}
    assert sorted(data.findings) == sorted(
        [
            "1 image named by the CSV but missing: lost.png",
            "1 image not in the CSV, left out: images/e.png",
            "2 images without a label, left out: images/d.png, images/f.png",
            "2 rows for an image that has a row already: images/c.png, images/b.png",
            "1 image with two labels, left out: images/c.png",
        ]
    )


def test_blanks_and_quotes_are_no_part_of_a_label(tmp_path: Path) -> None:
    text = 'image_id, label\na.png, "Healthy"\nb.png,Healthy \nc.png , \u00a0Rot\nd.png,"Rot" \n'
    data = read_dataset(make(tmp_path, text, tuple(f"{name}.png" for name in "abcd")))
    assert data.classes == ("Healthy", "Rot")
    assert data.findings == ()


def test_labels_keep_their_spelling(tmp_path: Path) -> None:
    data = read_dataset(make(tmp_path, "a,ripe\nb,Ripe\n"))
    assert set(data.classes) == {"ripe", "Ripe"}
    assert any("differ only in case, spaces" in line for line in data.findings)


def test_one_csv_per_part(tmp_path: Path) -> None:
    write_folders(tmp_path, {"T": 2, "D": 1})
    (tmp_path / "train.csv").write_text("image_id,label\n0001.png,A\n0002.png,B\n")
    (tmp_path / "dev.csv").write_text("image_id,label\n0003.png,B\n")
    data = read_dataset(tmp_path)
    assert {item.path: item.part for item in data.items} == {
        "T/0001.png": "train",
        "T/0002.png": "train",
        "D/0003.png": "val",
    }


def test_what_cannot_be_told_is_a_usage_error(tmp_path: Path) -> None:
    root = make(tmp_path, "image_id,label\na,A\nb,B\n")
    (root / "other.csv").write_text("image_id,label\na,B\nb,A\n")
    with pytest.raises(UsageError, match=r"several label CSVs .*labels\.csv, other\.csv"):
        read_dataset(root)
    assert labels_of(read_dataset(root / "other.csv")) == {"images/a.png": "B", "images/b.png": "A"}
    (root / "other.csv").write_text("image_id,weight,size\na,1,2\n")
    with pytest.raises(UsageError, match="it has: image_id, weight, size"):
        read_dataset(root / "other.csv")
    (root / "other.csv").write_text("image_id,label\nx,A\ny,B\n")
    with pytest.raises(UsageError, match="none of the 2 rows"):
        read_dataset(root / "other.csv")
    (root / "other.csv").write_text("image_id,label\na,\nb,\n")
    with pytest.raises(UsageError, match="no image has a label"):
        read_dataset(root / "other.csv")
    (root / "other.csv").write_bytes(b"image_id,label\na,caf\xe9\n")
    with pytest.raises(UsageError, match="UTF-8"):
        read_dataset(root / "other.csv")
    (root / "other.csv").write_bytes(b"")
    with pytest.raises(UsageError, match="it has: none"):
        read_dataset(root / "other.csv")
