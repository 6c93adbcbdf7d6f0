import itertools
import os
import random
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mango_grader.errors import UsageError
from mango_grader.runtime.grading.items import Source
from mango_grader.runtime.grading.journal import Entry
from mango_grader.runtime.grading.sorting import Sorted, Uncopied, check_folder, folder_names, sort_into
from mango_grader.runtime.inference.records import Record


def graded(path: Path, grade: str | None = "A", confidence: float = 0.9) -> Entry:
    numbers = (confidence, 1 - confidence)
    record = Record(str(path), grade, numbers, confidence, 1, 0.1, 0.1, None)
    if grade is None:
        record = Record.failed(str(path), "bad", 0.1)
    source = Source.of(str(path))
    return Entry(source.file, record, source)


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def found(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    return {str(path.relative_to(folder)): path.read_text() for path in files}


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


def test_what_cannot_be_copied_is_named_with_its_reason(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo.jpg")
    (tmp_path / "folder.jpg").mkdir()
    (tmp_path / "link.jpg").symlink_to("nowhere")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "B").write_text("in the way")
    reasons = {
        "fifo.jpg": "not a regular file", "folder.jpg": "not a regular file", "link.jpg": "broken link",
        "gone.jpg": "no such file",
    }  # fmt: skip
    entries = [graded(tmp_path / name, None) for name in reasons]
    done = sort_into(tmp_path / "out", [*entries, graded(write(tmp_path / "b.jpg", "b"), "B")], ("A", "B"))
    assert done.copied == 0
    found = {Path(one.path).name: one.reason for one in done.failed}
    assert found == {**reasons, "b.jpg": f"file exists ({tmp_path / 'out' / 'B'})"}


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


def test_an_image_without_a_file_is_not_copied_and_no_file_of_its_name_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write(Path("000001"), "another")
    done = sort_into("out", [Entry("000001", graded(Path("000001")).record)], ("A", "B"))
    assert done == Sorted(0, (Uncopied("000001", "the image came without a file"),))
    assert not found(tmp_path / "out")


def test_plain_class_names_are_kept() -> None:
    assert folder_names(["A", "sehr gut", "芒果"]) == {"A": "A", "sehr gut": "sehr gut", "芒果": "芒果"}


def test_an_image_that_changed_grade_is_moved_and_never_lies_in_two(tmp_path: Path) -> None:
    first, second = write(tmp_path / "in" / "1.jpg", "one"), write(tmp_path / "in" / "2.jpg", "two")
    sort_into(tmp_path / "out", [graded(first), graded(second)], ("A", "B"))
    for _ in range(2):
        assert sort_into(tmp_path / "out", [graded(first, "B"), graded(second)], ("A", "B")) == Sorted(2, ())
        assert found(tmp_path / "out") == {"B/1.jpg": "one", "A/2.jpg": "two"}
    sort_into(tmp_path / "out", [graded(first, "B"), graded(second, confidence=0.5)], ("A", "B"), review_below=0.6)
    assert found(tmp_path / "out") == {"B/1.jpg": "one", "_review/2.jpg": "two"}
    first.unlink()
    gone = Entry(str(first), graded(first).record, Source(str(first), None, None))
    assert sort_into(tmp_path / "out", [gone], ("A", "B")).failed == (Uncopied(str(first), "no such file"),)
    assert found(tmp_path / "out")["B/1.jpg"] == "one", "the copy may be all that is left"


def test_an_image_that_was_overwritten_leaves_no_stale_copy(tmp_path: Path) -> None:
    image = write(tmp_path / "in" / "1.jpg", "one")
    sort_into(tmp_path / "out", [graded(image)], ("A", "B"), out="rows.csv")
    image.write_text("another one")
    for grade in ("A", "B"):
        sort_into(tmp_path / "out", [graded(image, grade)], ("A", "B"), out="rows.csv")
        assert found(tmp_path / "out") == {f"{grade}/1.jpg": "another one"}


@pytest.mark.parametrize("outs", [(None, None), ("monday.csv", "tuesday.csv"), ("monday.csv", None)])
def test_a_camera_that_uses_a_name_again_keeps_the_copies_of_the_day_before(
    tmp_path: Path, outs: tuple[str | None, str | None]
) -> None:
    image = write(tmp_path / "belt" / "1.jpg", "of monday")
    sort_into(tmp_path / "out", [graded(image)], ("A", "B"), out=outs[0])
    image.write_text("of tuesday, another one")
    for _ in range(2):
        sort_into(tmp_path / "out", [graded(image)], ("A", "B"), out=outs[1])
        assert sorted(found(tmp_path / "out").values()) == ["of monday", "of tuesday, another one"]


def test_what_is_not_any_more_what_was_graded_is_not_copied(tmp_path: Path) -> None:
    image = write(tmp_path / "in" / "1.jpg", "one")
    entry = graded(image)
    image.write_text("another one")
    done = sort_into(tmp_path / "out", [entry], ("A", "B"))
    assert [one.reason for one in done.failed] == ["changed since it was graded; add --resume"]
    assert found(tmp_path / "out") == {}


def test_only_copies_of_ours_are_moved_or_deleted(tmp_path: Path) -> None:
    image, twin = write(tmp_path / "in" / "1.jpg", "one"), write(tmp_path / "out" / "A" / "twin.jpg", "one")
    standing = write(tmp_path / "in" / "twin.jpg", "one")
    sort_into(tmp_path / "out", [graded(image), graded(standing)], ("A", "B"))
    (tmp_path / "out" / "A" / "1.jpg").write_text("retouched by hand")
    sort_into(tmp_path / "out", [graded(image, "B"), graded(standing, "B")], ("A", "B"))
    assert found(tmp_path / "out") == {
        "A/1.jpg": "retouched by hand", "A/twin.jpg": "one", "B/1.jpg": "one", "B/twin.jpg": "one",
    }  # fmt: skip
    assert twin.read_text() == "one"


def test_twins_of_one_name_and_content_follow_their_own_grades(tmp_path: Path) -> None:
    first, second = write(tmp_path / "a" / "1.jpg", "same"), write(tmp_path / "b" / "1.jpg", "same")
    sort_into(tmp_path / "out", [graded(first), graded(second)], ("A", "B"))
    for _ in range(2):
        sort_into(tmp_path / "out", [graded(first, "B"), graded(second)], ("A", "B"))
        assert sorted(Path(name).parts[0] for name in found(tmp_path / "out")) == ["A", "B"]


def test_several_sources_share_a_folder(tmp_path: Path) -> None:
    first, second = write(tmp_path / "a" / "1.jpg", "one"), write(tmp_path / "b" / "1.jpg", "two")
    sort_into(tmp_path / "out", [graded(first)], ("A", "B"))
    sort_into(tmp_path / "out", [graded(second)], ("A", "B"))
    sort_into(tmp_path / "out", [graded(first, "B")], ("A", "B"))
    assert sorted(found(tmp_path / "out").values()) == ["one", "two"]
    assert found(tmp_path / "out")["B/1.jpg"] == "one"


def test_a_folder_that_holds_what_is_to_be_graded_is_refused(tmp_path: Path) -> None:
    image = write(tmp_path / "day" / "1.jpg", "one")
    (tmp_path / "link").symlink_to(tmp_path / "day")
    for folder in (tmp_path / "day", tmp_path, tmp_path / "link", tmp_path / "day" / ".." / "day"):
        with pytest.raises(UsageError, match=r"choose another, such as .*sorted"):
            check_folder(str(folder), [str(image)])
    for folder in (tmp_path / "day" / "sorted", tmp_path / "da", tmp_path / "day2"):
        check_folder(str(folder), [str(image)])
    with pytest.raises(UsageError, match="is a file; name a folder"):
        check_folder(str(image), [])


def test_a_damaged_list_of_copies_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "out" / ".mango-grader.json", "{")
    with pytest.raises(UsageError, match="is damaged"):
        check_folder(str(tmp_path / "out"), [])


@pytest.mark.parametrize("seed", range(12))
def test_whatever_happens_each_image_has_one_copy_and_nothing_of_others_is_touched(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    images = [tmp_path / folder / name for folder in "xy" for name in ("1.jpg", "2.jpg", "1.JPG")]
    clock, others = itertools.count(1), dict[str, str]()

    def put(path: Path, text: str) -> None:
        os.utime(write(path, text), ns=(next(clock) * 10**10,) * 2)

    for image in images:
        put(image, rng.choice(["a", "b", "cc"]))
    for turn in range(6):
        for image in rng.sample(images, 1):
            put(image, rng.choice(["a", "b", "cc", "ddd"]))
        copies = [name for name in found(tmp_path / "out") if name not in others]
        for name in ["A/2.jpg", "B/own.jpg", *rng.sample(copies, min(1, len(copies)))]:
            if rng.random() < 0.3 and (name in copies or name not in found(tmp_path / "out")):
                put(tmp_path / "out" / name, f"of others {turn}")
                others[name] = f"of others {turn}"
        entries = [graded(image, rng.choice(["A", "B", None])) for image in images]
        for _ in range(2):
            assert not sort_into(tmp_path / "out", entries, ("A", "B"), out="rows.csv").failed
            after = found(tmp_path / "out")
            assert others.items() <= after.items()
            ours = Counter((name.split("/")[0], text) for name, text in after.items() if name not in others)
            groups = (one.record.grade or "_errors" for one in entries)
            assert ours == Counter((group, image.read_text()) for group, image in zip(groups, images, strict=True))
