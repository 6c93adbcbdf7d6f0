import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mango_grader.runtime.records import Record
from mango_grader.runtime.sorting import Sorted, folder_names, sort_into


def graded(path: Path, grade: str | None = "A", confidence: float = 0.9) -> Record:
    if grade is None:
        return Record.failed(str(path), "bad", 0.1)
    return Record(str(path), grade, (confidence, 1 - confidence), confidence, 1, 0.1, 0.1, None)


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def found(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def test_each_image_lands_where_it_belongs(tmp_path: Path) -> None:
    names = ("sure.jpg", "doubtful.jpg", "bad.jpg", "b.jpg")
    sure, doubtful, bad, other = (write(tmp_path / "in" / name, name) for name in names)
    records = [graded(sure), graded(doubtful, confidence=0.59), graded(bad, None), graded(other, "B", 0.6)]
    done = sort_into(tmp_path / "out", records, ("A", "B"), review_below=0.6)
    assert done == Sorted(4, ())
    assert set(found(tmp_path / "out")) == {"A/sure.jpg", "_review/doubtful.jpg", "_errors/bad.jpg", "B/b.jpg"}
    assert sure.exists(), "images are copied, not moved"


@pytest.mark.parametrize("texts", [("one", "two", "three"), ("same", "same", "same")])
def test_same_names_are_kept_apart_and_a_second_time_changes_nothing(tmp_path: Path, texts: tuple[str, ...]) -> None:
    paths = [
        write(tmp_path / folder / name, text)
        for folder, name, text in zip("abc", ("1.jpg", "1.jpg", "1.JPG"), texts, strict=True)
    ]
    records = [graded(path) for path in paths]
    sort_into(tmp_path / "out", records, ("A", "B"))
    first = found(tmp_path / "out")
    assert sorted(first.values()) == sorted(texts)
    assert len({name.casefold() for name in first}) == 3
    assert sort_into(tmp_path / "out", records, ("A", "B")).copied == 3
    assert found(tmp_path / "out") == first


def test_what_stands_there_is_never_overwritten(tmp_path: Path) -> None:
    write(tmp_path / "out" / "A" / "1.jpg", "precious")
    sort_into(tmp_path / "out", [graded(write(tmp_path / "1.jpg", "new"))], ("A", "B"))
    after = found(tmp_path / "out")
    assert after["A/1.jpg"] == "precious"
    assert sorted(after.values()) == ["new", "precious"]


def test_an_interrupted_sorting_is_completed(tmp_path: Path) -> None:
    records = [graded(write(tmp_path / "in" / f"{number}.jpg", str(number))) for number in range(5)]
    sort_into(tmp_path / "out", records[:2], ("A", "B"))
    sort_into(tmp_path / "out", records, ("A", "B"))
    assert len(found(tmp_path / "out")) == 5


def test_what_cannot_be_copied_is_named(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo.jpg")
    (tmp_path / "folder.jpg").mkdir()
    (tmp_path / "link.jpg").symlink_to("nowhere")
    paths = [tmp_path / name for name in ("fifo.jpg", "folder.jpg", "link.jpg", "gone.jpg")]
    done = sort_into(tmp_path / "out", [graded(path, None) for path in paths], ("A", "B"))
    assert done == Sorted(0, tuple(map(str, paths)))


def test_the_longest_legal_name_and_no_utf8_are_copied(tmp_path: Path) -> None:
    long, latin = tmp_path / ("n" * 251 + ".jpg"), Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.jpg"))
    done = sort_into(tmp_path / "out", [graded(write(long, "x")), graded(write(latin, "y"))], ("A", "B"))
    assert done == Sorted(2, ())
    assert set(os.listdir(tmp_path / "out" / "A")) == {long.name, latin.name}  # noqa: PTH208


@given(st.lists(st.text(max_size=6), unique=True, min_size=1, max_size=8))
def test_any_classes_get_distinct_safe_folders(classes: list[str]) -> None:
    names = list(folder_names([*classes, "_review", "../x", "a/b", "a_b"][: len(classes) + 4]).values())
    folded = {name.casefold() for name in names}
    assert len(folded) == len(names)
    assert not folded & {"_review", "_errors", ".", "..", ""}
    assert not any(one in name for name in names for one in "/\\\0\n")


def test_plain_class_names_are_kept() -> None:
    assert folder_names(["A", "sehr gut", "芒果"]) == {"A": "A", "sehr gut": "sehr gut", "芒果": "芒果"}
