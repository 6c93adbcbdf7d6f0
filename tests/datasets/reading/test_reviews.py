"""Reviewed labels: what they change, and what they refuse."""

from pathlib import Path

import pytest
from photos import write_folders

from mango_grader.datasets import Dataset, Split, make_split, read_dataset
from mango_grader.datasets.reading.reviews import UNSURE, UNUSABLE, Decision, Review, read_review
from mango_grader.errors import UsageError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_folders(tmp_path / "mangos", {"A": 4, "B": 4})


def labels_of(data: Dataset) -> dict[str, str]:
    return {item.path: data.classes[item.label] for item in data.items}


def written(path: Path, *rows: str, titles: str = "path,label,reviewed_label,note") -> Path:
    path.write_text("\n".join([titles, *rows]) + "\n", encoding="utf-8")
    return path


def test_a_review_corrects_labels_and_leaves_out_what_is_unusable(root: Path, tmp_path: Path) -> None:
    rows = (
        "A/0001.png,A,B,clearly",
        "A/0002.png,A,unusable,",
        "A/0003.png,A,unsure,",
        "B/0005.png,B,,",
        "B/0006.png,B,B,",
    )
    before = labels_of(read_dataset(root))
    data = read_dataset(root, labels=written(tmp_path / "reviewed.csv", *rows))
    expected = {**before, "A/0001.png": "B"}
    del expected["A/0002.png"]
    assert labels_of(data) == expected
    assert data.reviewed is not None
    assert (dict(data.reviewed.changed), dict(data.reviewed.left_out)) == ({"A/0001.png": "A"}, {"A/0002.png": "A"})


@pytest.mark.parametrize(
    "content",
    [
        "path;label;reviewed_label;note\nA\\0001.png;A;B;\n",
        "\ufeffnote,Reviewed_Label,path\nwhy not,B,./A/0001.png\n",
    ],
)
def test_a_spreadsheet_may_write_it_in_its_own_way(root: Path, tmp_path: Path, content: str) -> None:
    path = tmp_path / "reviewed.csv"
    path.write_text(content, encoding="utf-8")
    assert labels_of(read_dataset(root, labels=path))["A/0001.png"] == "B"


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ("A/9999.png,A,B,", "names 1 image that the data lack: A/9999.png"),
        ("0001.png,A,B,", "names 1 image that the data lack: 0001.png"),
        ("A/0001.png,A,C,", "A/0001.png has the reviewed label 'C'; write A, B, unsure or unusable"),
        ("A/0001.png,B,unsure,", "A/0001.png was B when it was reviewed and is A now; review it again"),
        ("A/0001.png,A,B,\nA/0001.png,A,A,", "A/0001.png has two rows with different reviewed labels"),
    ],
)
def test_decisions_on_other_data_are_refused_in_one_line(root: Path, tmp_path: Path, row: str, says: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_dataset(root, labels=written(tmp_path / "reviewed.csv", row))
    assert says in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_a_file_that_is_no_review_is_refused(root: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        read_dataset(root, labels=tmp_path / "reviewed.csv")
    with pytest.raises(UsageError, match="it needs the columns path and reviewed_label; it has: path, label"):
        read_dataset(root, labels=written(tmp_path / "labels.csv", "A/0001.png,A", titles="path,label"))


def test_a_correction_that_the_folder_follows_since_stays_valid(root: Path, tmp_path: Path) -> None:
    path = written(tmp_path / "reviewed.csv", "1.png,A,B,")
    (root / "labels.csv").write_text("path,label\n1.png,B\n2.png,A\n")
    (root / "1.png").write_bytes((root / "A/0001.png").read_bytes())
    (root / "2.png").write_bytes((root / "A/0002.png").read_bytes())
    data = read_dataset(root / "labels.csv", labels=path)
    assert data.reviewed is not None
    assert not data.reviewed.changed


def test_a_review_in_the_data_folder_gives_no_labels(root: Path, tmp_path: Path) -> None:
    before = read_dataset(root)
    Review("", (Decision("A/0001.png", "A", "B"),)).write(root / "reviewed.csv")
    assert read_dataset(root) == before
    with pytest.raises(UsageError, match="it holds reviewed labels; pass it with --labels"):
        read_dataset(root / "reviewed.csv")


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    decisions = (Decision('A/one, "two".png', "A", "B", "façade"), Decision("B/3.png", "B", UNSURE), Decision("x", "A"))
    Review("reviewed.csv", decisions).write(tmp_path / "reviewed.csv", {"suggested": {"x": "B"}})
    assert read_review(tmp_path / "reviewed.csv") == Review("reviewed.csv", decisions)
    assert "suggested" in (tmp_path / "reviewed.csv").read_text(encoding="utf-8-sig").splitlines()[0]


def test_a_class_of_the_data_is_meant_where_it_is_called_like_a_decision(tmp_path: Path) -> None:
    root = write_folders(tmp_path / "mangos", {"good": 2, UNUSABLE: 2})
    data = read_dataset(root, labels=written(tmp_path / "reviewed.csv", "good/0001.png,good,unusable,"))
    assert labels_of(data)["good/0001.png"] == UNUSABLE
    assert len(data.items) == 4


def test_a_split_puts_what_a_review_left_out_in_no_part(tmp_path: Path) -> None:
    root = write_folders(tmp_path / "mangos", {"A": 12, "B": 12})
    whole = read_dataset(root)
    split = make_split(whole, 0)
    split.save(tmp_path / "split.json", whole)
    gone, *_ = (whole.paths[index] for index in split.test)
    label = gone.partition("/")[0]
    data = read_dataset(root, labels=written(tmp_path / "reviewed.csv", f"{gone},{label},unusable,"))
    tested = {data.paths[index] for index in Split.load(tmp_path / "split.json", data).test}
    assert tested == {whole.paths[index] for index in split.test} - {gone}
