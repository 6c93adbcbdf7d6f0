import json
import os
import tracemalloc
from dataclasses import asdict
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mango_grader.errors import UsageError
from mango_grader.runtime.grading.items import ImageItem, Source
from mango_grader.runtime.grading.journal import Entry, Journal
from mango_grader.runtime.inference.records import Record

HEADER = {"model": "abc", "policy": "full"}


def record(path: str, error: str | None = None) -> Record:
    if error is not None:
        return Record.failed(path, error, 0.125)
    return Record(path, "A", (0.1 + 0.2, 0.7), 0.7, 2, 1.5, 0.25, None)


def entry(path: str, error: str | None = None, *, seen: bool = True) -> Entry:
    """Return the row of a file; one that was not `seen` comes from a journal of version 1."""
    source = Source.of(path)
    return Entry(source.file, record(path, error), source if seen else Source(source.file, None, None))


def items(*paths: str) -> list[ImageItem]:
    return [ImageItem.of_file(path) for path in paths]


def test_records_come_back_exactly_and_sorted(tmp_path: Path) -> None:
    rows = [record("b"), record("a\nb"), record("caf\udce9.jpg", "bad"), record("芒果"), record("a")]
    with Journal.create(tmp_path / "j", HEADER) as journal:
        for row in rows:
            journal.append(Entry(row.path, row))
        assert list(journal.records()) == sorted(rows, key=lambda row: row.path)
    with Journal.open(tmp_path / "j") as again:
        assert list(again.records()) == sorted(rows, key=lambda row: row.path)
        assert again.header == HEADER
        assert ImageItem("a", b"") in again
        assert ImageItem("c", b"") not in again
        assert len(again) == 5


@given(cut=st.integers(0, 2000), count=st.integers(0, 5), tail=st.binary(max_size=20))
def test_whatever_the_cut_no_row_is_lost_or_repeated(
    tmp_path_factory: pytest.TempPathFactory, cut: int, count: int, tail: bytes
) -> None:
    path = tmp_path_factory.mktemp("cut") / "j"
    with Journal.create(path, HEADER) as journal:
        start = path.stat().st_size
        for number in range(count):
            journal.append(entry(str(number)))
    whole = path.read_bytes()
    kept = whole[: max(start, cut)]
    path.write_bytes(kept + tail.replace(b"\n", b""))
    with Journal.open(path) as journal:
        done = [row.path for row in journal.records()]
        assert done == [str(number) for number in range(kept.count(b"\n") - 1)]
        for number in range(count):
            if ImageItem.of_file(str(number)) not in journal:
                journal.append(entry(str(number)))
    with Journal.open(path) as journal:
        assert [row.path for row in journal.records()] == [str(number) for number in range(count)]
    lines = path.read_bytes().splitlines()
    assert len({json.loads(line)["path"] for line in lines[1:]}) == len(lines) - 1 == count


def test_zeros_left_by_a_power_cut_are_cut_off(tmp_path: Path) -> None:
    with Journal.create(tmp_path / "j", HEADER) as journal:
        journal.append(entry("a"))
    with (tmp_path / "j").open("ab") as file:
        file.write(bytes(512) + b"\n" + bytes(10))
    with Journal.open(tmp_path / "j") as journal:
        journal.append(entry("b"))
        assert [row.path for row in journal.records()] == ["a", "b"]


def test_finished_holds_until_another_row_comes(tmp_path: Path) -> None:
    with Journal.create(tmp_path / "j", HEADER) as journal:
        journal.append(entry("a"))
        assert not journal.finished
        journal.finish()
    with Journal.open(tmp_path / "j") as journal:
        assert journal.finished
        journal.append(entry("b"))
        assert not journal.finished
    with Journal.open(tmp_path / "j") as journal:
        assert not journal.finished
        assert len(journal) == 2


@pytest.mark.parametrize("data", [b"", b"path,grade\n", b'{"path": "a"}\n', b'{"kind": "other"}\n', b"[]\n"])
def test_other_files_are_refused_and_left_alone(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "j").write_bytes(data)
    with pytest.raises(UsageError, match="not a journal"):
        Journal.open(tmp_path / "j")
    assert (tmp_path / "j").read_bytes() == data


def test_a_row_is_in_the_file_before_append_returns(tmp_path: Path) -> None:
    with Journal.create(tmp_path / "j", HEADER) as journal:
        journal.append(entry("a"))
        assert (tmp_path / "j").read_bytes().endswith(b"\n")
        assert b'"a"' in (tmp_path / "j").read_bytes()


def test_a_journal_without_warnings_of_an_earlier_version_is_still_continued(tmp_path: Path) -> None:
    with Journal.create(tmp_path / "journal", {}) as journal:
        journal.append(entry("a.jpg"))
    lines = [json.loads(line) for line in (tmp_path / "journal").read_text().splitlines()]
    for line in lines:
        line.pop("warning", None)
    (tmp_path / "journal").write_text("".join(json.dumps(line) + "\n" for line in lines))
    with Journal.open(tmp_path / "journal") as journal:
        assert list(journal.records()) == [record("a.jpg")]


def write(path: Path, text: str) -> str:
    path.write_text(text)
    return str(path)


def test_changed_failed_and_unknown_files_are_pending_again(tmp_path: Path) -> None:
    same, changed, failed, unknown = (write(tmp_path / name, name) for name in ("same", "changed", "failed", "unknown"))
    with Journal.create(tmp_path / "j", HEADER) as journal:
        journal.append(entry(same))
        journal.append(entry(changed))
        journal.append(entry(failed, "truncated"))
        journal.append(entry(unknown, seen=False))
        journal.finish()
    write(tmp_path / "changed", "of another size")
    new = str(tmp_path / "new")
    with Journal.open(tmp_path / "j") as journal:
        assert journal.pending(items(same, changed, failed, unknown, new)) == items(changed, failed, unknown, new)
        journal.forget(items(changed, failed, new))
        assert not journal.finished
        journal.append(entry(changed))
    with Journal.open(tmp_path / "j") as journal:
        assert sorted(row.path for row in journal.records()) == sorted([same, changed, unknown])
        assert journal.pending(items(same, changed)) == []
        assert journal.header == HEADER


def test_a_file_of_the_same_size_and_another_time_is_pending_again(tmp_path: Path) -> None:
    path = write(tmp_path / "a", "one")
    with Journal.create(tmp_path / "j", HEADER) as journal:
        journal.append(entry(path))
        assert journal.pending(items(path)) == []
        write(tmp_path / "a", "two")
        os.utime(path, ns=(1, 1))
        assert journal.pending(items(path)) == items(path)


def test_another_spelling_of_a_file_is_the_same_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = write(tmp_path / "a", "one")
    (tmp_path / "link").symlink_to("a")
    with Journal.create("j", HEADER) as journal:
        journal.append(entry("a"))
        assert journal.pending(items("./a", path, "link")) == []
        journal.append(entry(path))
    monkeypatch.chdir("/")
    with Journal.open(tmp_path / "j") as journal:
        assert [row.path for row in journal.records()] == [path]
        journal.forget(items(str(tmp_path / "link")))
        assert len(journal) == 0


def test_a_folder_that_moved_with_its_journal_is_not_graded_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "old").mkdir()
    monkeypatch.chdir(tmp_path / "old")
    write(Path("a"), "one")
    with Journal.create("j", HEADER) as journal:
        journal.append(entry("a"))
    (tmp_path / "old").rename(tmp_path / "new")
    monkeypatch.chdir(tmp_path / "new")
    with Journal.open("j") as journal:
        assert journal.pending(items("a")) == []
        journal.append(entry("a"))
        assert len(journal) == 1
        assert journal.pending(items(str(tmp_path / "new" / "a"))) == []


def test_rows_of_an_earlier_version_know_no_file_and_are_graded_again(tmp_path: Path) -> None:
    path = write(tmp_path / "a", "one")
    lines = [{"kind": "mango-grader journal 1", **HEADER}, record(path).to_dict(), {"finished": 1}]
    (tmp_path / "j").write_text("".join(json.dumps(line) + "\n" for line in lines) + '{"torn')
    with Journal.open(tmp_path / "j") as journal:
        assert (journal.header, list(journal.records())) == (HEADER, [record(path)])
        assert journal.pending(items(path)) == items(path)
    assert (tmp_path / "j").read_text().startswith('{"kind": "mango-grader journal 3"')


def test_a_journal_of_version_2_is_continued_and_its_files_are_not_graded_twice(tmp_path: Path) -> None:
    path = write(tmp_path / "a", "one")
    rows = [
        {**record(path).to_dict(), "source": asdict(Source.of(path))},
        {**record("-").to_dict(), "source": None},  # standard input
    ]
    lines = [{"kind": "mango-grader journal 2", **HEADER}, *rows, {"finished": 2}]
    (tmp_path / "j").write_text("".join(json.dumps(line) + "\n" for line in lines))
    for _ in range(2):
        with Journal.open(tmp_path / "j") as journal:
            assert journal.pending(items(path)) == []
            assert list(journal.entries()) == [Entry("-", record("-")), entry(path)]
    assert (tmp_path / "j").read_text().startswith('{"kind": "mango-grader journal 3"')


def test_rows_without_a_file_are_kept_apart_by_their_ids(tmp_path: Path) -> None:
    fruit = [ImageItem(f"fruit {number}", b"") for number in range(3)]
    with Journal.create(tmp_path / "j", HEADER) as journal:
        journal.append(Entry("fruit 0", record("fruit 0")))
        journal.append(Entry("fruit 1", record("fruit 1", "bad")))
    with Journal.open(tmp_path / "j") as journal:
        assert journal.pending(fruit) == fruit[1:], "what got no grade is graded again"
        journal.forget(fruit[1:])
        journal.append(Entry("fruit 1", record("fruit 1")))
        assert ImageItem.of_file("fruit 1") not in journal, "a file of the same name is another image"
        assert [one.id for one in journal.entries()] == ["fruit 0", "fruit 1"]


@pytest.mark.parametrize("data", [b"[1]\n", b'"kind finished"\n', b"1\n", b"null\n"])
def test_json_that_is_no_journal_is_refused_or_cut_off(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "other").write_bytes(data)
    with pytest.raises(UsageError, match="not a journal"):
        Journal.open(tmp_path / "other")
    with Journal.create(tmp_path / "j", HEADER) as journal:
        journal.append(entry("a"))
    with (tmp_path / "j").open("ab") as file:
        file.write(data)
    with Journal.open(tmp_path / "j") as journal:
        journal.append(entry("b"))
    with Journal.open(tmp_path / "j") as journal:
        assert [row.path for row in journal.records()] == ["a", "b"]


def test_a_row_without_a_file_takes_no_path_away_from_a_row_of_a_file(tmp_path: Path) -> None:
    """Replacing the former made the journal forget the latter's path, and keep two rows of one file."""
    with Journal.create(tmp_path / "j", HEADER) as journal:
        for key, source in (("a", None), ("b", Source("b", 1, 1)), ("a", None), ("a", Source("a", 1, 1))):
            journal.append(Entry(key, record("a"), source))
        assert [row.id for row in journal.entries()] == ["a"]


@given(
    rows=st.lists(st.tuples(st.sampled_from("abcde"), st.sampled_from("abcde"), st.booleans()), max_size=8),
    again=st.lists(st.sampled_from("abcde"), max_size=3),
)
def test_rows_in_any_order_replace_earlier_ones_of_the_same_item(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str, bool]], again: list[str]
) -> None:
    """Against the plain rule: an item has one row, found by its id, and that of a file also by its path."""
    expected: dict[str, Entry] = {}
    path = tmp_path_factory.mktemp("any") / "j"
    with Journal.create(path, HEADER) as journal:
        for key, name, is_file in rows:
            row = Entry(key, record(name), Source(key, 1, 1) if is_file else None)
            same_path = {one for one, old in expected.items() if is_file and old.source and old.record.path == name}
            for one in {key} | same_path:
                expected.pop(one, None)
            expected[key] = row
            journal.append(row)
        for key in again:
            assert journal.forget([ImageItem(key, b"")]) == (key in expected)
            expected.pop(key, None)
        wanted = sorted(expected.values(), key=lambda row: (row.record.path, row.id))
        assert list(journal.entries()) == wanted
        assert len(journal) == len(wanted)
        assert all(ImageItem(key, b"") in journal for key in expected)
    with Journal.open(path) as journal:
        assert list(journal.entries()) == wanted


def test_rows_that_come_in_order_take_no_memory(tmp_path: Path) -> None:
    with Journal.create(tmp_path / "j", HEADER) as journal:
        journal.append(Entry("000000", record("000000")))
        tracemalloc.start()
        try:
            for number in range(1, 3000):
                journal.append(Entry(f"{number:06}", record(f"{number:06}")))
            assert sum(1 for _ in journal.records()) == len(journal) == 3000
            assert tracemalloc.get_traced_memory()[1] < 100_000
        finally:
            tracemalloc.stop()
