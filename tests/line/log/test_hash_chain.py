"""The chain of a log: what is changed, missing, repeated, exchanged or cut off is found, and the line is named."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from deciding import decide

from mango_grader.errors import FormatError, UsageError
from mango_grader.line.log import Checkpoint, Decided, Ended, LogFolder, Started
from mango_grader.line.log.chain import Chain, Position, links
from mango_grader.line.log.writing import LogWriter, Tail, locked_log

STARTED = Started("r", "", "belt", True, False, "ab", {}, ("A", "B"), {}, {}, "2026-01-01T00:00:00+00:00")
Lines = list[bytes]


def write_log(path: Path, decisions: int = 5) -> LogFolder:
    """Write the log of a run that has ended."""
    folder = LogFolder(path)
    with locked_log(folder):
        writer = LogWriter(folder, Position(), Tail())
        writer.put([STARTED])
        writer.put([Decided(decide(number), {"3": [[0.5, 0.5]]}, "d") for number in range(1, decisions + 1)])
        writer.put([Ended(9, decisions, {})])
        writer.save(Checkpoint(writer.position, 9, ended=True))
        writer.close()
    return folder


def test_what_is_written_is_read_as_the_same(tmp_path: Path) -> None:
    folder = write_log(tmp_path / "log")
    assert folder.started == STARTED
    assert list(folder.decisions(after=2)) == [decide(number) for number in (3, 4, 5)]
    found = folder.verify()
    assert (found.lines, found.decisions, found.ended) == (7, 5, True)
    assert found.seal in folder.chain.read_text(encoding="ascii").splitlines()[-1]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda lines: [*lines[:2], lines[2].replace(b'"grade"', b'"Grade"'), *lines[3:]], "line 3 was changed"),
        (lambda lines: [*lines[:6], lines[6].replace(b'"frames": 9', b'"frames": 8')], "line 7 was changed"),
        (lambda lines: [*lines[:2], *lines[3:]], "line 3 is missing: line 4 stands in its place"),
        (lambda lines: [*lines[:3], *lines[2:]], "line 4 repeats line 3"),
        (lambda lines: [lines[0], lines[2], lines[1], *lines[3:]], "line 2 is missing: line 3 stands in its place"),
        (lambda lines: lines[:4], "the end is missing, from line 5 on"),
        (lambda lines: [*lines[:6], lines[6][:-9]], "the end is missing, from line 7 on"),
        (lambda lines: [*lines[:3], b"\xff\n", *lines[4:]], "line 4 was changed"),
        (lambda lines: [*lines[:3], b"[" * 100_000 + b"\n", *lines[4:]], "line 4 was changed"),
        (lambda lines: [*lines, b"{}\n"], "line 8 was changed"),
        (lambda lines: lines[1:], "line 1 is missing: line 2 stands in its place"),
    ],
)
def test_verify_names_the_line(tmp_path: Path, change: Callable[[Lines], Lines], said: str) -> None:
    folder = write_log(tmp_path / "log")
    lines = folder.chain.read_bytes().splitlines(keepends=True)
    folder.chain.write_bytes(b"".join(change(lines)))
    with pytest.raises(FormatError, match=re.escape(said)):
        folder.verify()


def test_a_line_of_another_log_is_found(tmp_path: Path) -> None:
    """It is intact by itself, and has the right number."""
    one, other = write_log(tmp_path / "one"), write_log(tmp_path / "other", decisions=6)
    chain = Chain(tmp_path / "third")
    chain.append([{"kind": "start"}])
    chain.append([{"kind": "end"}])
    chain.close()
    lines = one.chain.read_bytes().splitlines(keepends=True)
    lines[1] = (tmp_path / "third").read_bytes().splitlines(keepends=True)[1]
    one.chain.write_bytes(b"".join(lines))
    with pytest.raises(FormatError, match="line 2 does not follow line 1"):
        one.verify()
    assert other.verify().decisions == 6


def test_a_log_that_was_made_anew_is_found_by_its_checkpoint(tmp_path: Path) -> None:
    """Every line of it fits; the checkpoint tells, or the seal that somebody wrote down."""
    folder, forged = write_log(tmp_path / "log"), write_log(tmp_path / "forged", decisions=6)
    assert forged.verify().seal != folder.verify().seal
    forged.chain.replace(folder.chain)
    with pytest.raises(FormatError, match=r"line 7 is not the one that checkpoint\.json names"):
        folder.verify()


def test_a_torn_last_line_is_cut_off_when_the_log_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "chain"
    chain = Chain(path)
    chain.append([{"n": 1}, {"n": 2}])
    chain.close()
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"line": 3, "n": 3, "prev')
    assert [link.values for link in links(path)] == [{"n": 1}, {"n": 2}]
    chain = Chain(path, list(links(path))[-1].end)
    chain.append([{"n": 4}])
    chain.close()
    assert path.read_bytes().startswith(whole)
    assert [link.values["n"] for link in links(path)] == [1, 2, 4]


def test_a_folder_that_is_no_log_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is not the log of a line"):
        LogFolder(tmp_path).verify()


def test_a_reader_goes_on_where_it_ended_and_back_where_it_must(tmp_path: Path) -> None:
    folder = write_log(tmp_path / "log")
    reader = folder.reader()
    first = reader.after(0)
    assert [next(first).sequence, next(first).sequence] == [1, 2]
    assert [one.sequence for one in reader.after(2)] == [3, 4, 5]
    assert [one.sequence for one in reader.after(5)] == []
    assert [one.sequence for one in reader.after(3)] == [4, 5]
