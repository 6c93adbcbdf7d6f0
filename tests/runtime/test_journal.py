import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mango_grader.errors import UsageError
from mango_grader.runtime.journal import Journal
from mango_grader.runtime.records import Record

HEADER = {"model": "abc", "policy": "full"}


def record(path: str, error: str | None = None) -> Record:
    if error is not None:
        return Record.failed(path, error, 0.125)
    return Record(path, "A", (0.1 + 0.2, 0.7), 0.7, 2, 1.5, 0.25, None)


def test_records_come_back_exactly_and_sorted(tmp_path: Path) -> None:
    rows = [record("b"), record("a\nb"), record("caf\udce9.jpg", "bad"), record("芒果"), record("a")]
    with Journal.create(tmp_path / "j", HEADER) as journal:
        for row in rows:
            journal.append(row)
        assert list(journal.records()) == sorted(rows, key=lambda row: row.path)
    with Journal.open(tmp_path / "j") as again:
        assert list(again.records()) == sorted(rows, key=lambda row: row.path)
        assert again.header == HEADER
        assert "a" in again
        assert "c" not in again
        assert len(again) == 5


@given(cut=st.integers(0, 2000), count=st.integers(0, 5), tail=st.binary(max_size=20))
def test_whatever_the_cut_no_row_is_lost_or_repeated(
    tmp_path_factory: pytest.TempPathFactory, cut: int, count: int, tail: bytes
) -> None:
    path = tmp_path_factory.mktemp("cut") / "j"
    with Journal.create(path, HEADER) as journal:
        start = path.stat().st_size
        for number in range(count):
            journal.append(record(str(number)))
    whole = path.read_bytes()
    kept = whole[: max(start, cut)]
    path.write_bytes(kept + tail.replace(b"\n", b""))
    with Journal.open(path) as journal:
        done = [row.path for row in journal.records()]
        assert done == [str(number) for number in range(kept.count(b"\n") - 1)]
        for number in range(count):
            if str(number) not in journal:
                journal.append(record(str(number)))
    with Journal.open(path) as journal:
        assert [row.path for row in journal.records()] == [str(number) for number in range(count)]
    lines = path.read_bytes().splitlines()
    assert len({json.loads(line)["path"] for line in lines[1:]}) == len(lines) - 1 == count


def test_zeros_left_by_a_power_cut_are_cut_off(tmp_path: Path) -> None:
    with Journal.create(tmp_path / "j", HEADER) as journal:
        journal.append(record("a"))
    with (tmp_path / "j").open("ab") as file:
        file.write(bytes(512) + b"\n" + bytes(10))
    with Journal.open(tmp_path / "j") as journal:
        journal.append(record("b"))
        assert [row.path for row in journal.records()] == ["a", "b"]


def test_finished_holds_until_another_row_comes(tmp_path: Path) -> None:
    with Journal.create(tmp_path / "j", HEADER) as journal:
        journal.append(record("a"))
        assert not journal.finished
        journal.finish()
    with Journal.open(tmp_path / "j") as journal:
        assert journal.finished
        journal.append(record("b"))
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
        journal.append(record("a"))
        assert (tmp_path / "j").read_bytes().endswith(b"\n")
        assert b'"a"' in (tmp_path / "j").read_bytes()


def test_a_journal_without_warnings_of_an_earlier_version_is_still_continued(tmp_path: Path) -> None:
    with Journal.create(tmp_path / "journal", {}) as journal:
        journal.append(record("a.jpg"))
    lines = [json.loads(line) for line in (tmp_path / "journal").read_text().splitlines()]
    for line in lines:
        line.pop("warning", None)
    (tmp_path / "journal").write_text("".join(json.dumps(line) + "\n" for line in lines))
    with Journal.open(tmp_path / "journal") as journal:
        assert list(journal.records()) == [record("a.jpg")]
