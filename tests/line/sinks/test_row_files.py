"""Files that grow by one row per fruit: torn lines, other columns, full disks, and files that are moved away."""

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, suppress
from pathlib import Path

import pytest
import targets
from deciding import CLASSES, Clock, decide
from logged import Log, until
from tmpfs import small_disk

from mango_grader.errors import SinkError
from mango_grader.line import Delivery, RunInfo
from mango_grader.line.sinks.csv import CsvSettings
from mango_grader.line.sinks.jsonl import JsonlSettings
from mango_grader.line.sinks.rows import RowFile


@pytest.fixture
def run(tmp_path: Path) -> RunInfo:
    return RunInfo("run", CLASSES, str(tmp_path / "sink"), Clock().now)


def deliver(sink: RowFile, run: RunInfo, *sequences: int) -> None:
    sink.open(run)
    sink.deliver([decide(sequence) for sequence in sequences])
    sink.close()


def ids(path: Path) -> list[str]:
    return [json.loads(line)["id"] for line in path.read_text().splitlines()]


def test_a_row_is_the_row_of_every_table(run: RunInfo, tmp_path: Path) -> None:
    for settings in (JsonlSettings(f"{tmp_path}/fruit.jsonl"), CsvSettings(f"{tmp_path}/fruit.csv")):
        sink = settings.build()
        sink.open(run)
        sink.deliver([decide(1, lot='a, "b"', error="two\nlines")])
        sink.close()
    row = json.loads((tmp_path / "fruit.jsonl").read_text())
    assert (row["grade"], row["p_B"], row["exits"], row["error"]) == ("B", 0.8, "1 1 2 1", "two\\nlines")
    header, line = (tmp_path / "fruit.csv").read_bytes().decode().splitlines()
    assert header.split(",") == list(row)
    assert line.startswith('run-1,"a, ""b""",2,decided,B,0.1,0.8,0.1,0.8,false,second,,,false,4,1 1 2 1,')


@pytest.mark.parametrize("torn", [b'{"id": "run-3"', b"\xff" * 100_000, b"{"])
def test_a_torn_last_line_is_cut_off_and_delivered_again(run: RunInfo, tmp_path: Path, torn: bytes) -> None:
    path = tmp_path / "fruit.jsonl"
    deliver(JsonlSettings(str(path)).build(), run, 1, 2)
    with path.open("ab") as file:
        file.write(torn)
    deliver(JsonlSettings(str(path)).build(), run, 3)
    assert ids(path) == ["run-1", "run-2", "run-3"]


def test_a_file_that_was_moved_away_is_begun_anew(run: RunInfo, tmp_path: Path) -> None:
    path = tmp_path / "fruit.csv"
    deliver(CsvSettings(str(path)).build(), run, 1, 2)
    path.rename(tmp_path / "fruit-monday.csv")
    deliver(CsvSettings(str(path)).build(), run, 3)
    assert [line[:5] for line in path.read_text().splitlines()] == ["id,lo", "run-3"]


def test_a_file_that_is_moved_away_while_the_line_runs_loses_no_row(run: RunInfo, tmp_path: Path) -> None:
    log, path = Log(tmp_path / "log.jsonl"), tmp_path / "fruit.jsonl"
    delivery = Delivery(JsonlSettings(str(path)).build(), log, run)
    delivery.start()
    for part, name in enumerate(("monday", "tuesday")):
        delivery.announce(log.add(decide(2 * part + 1), decide(2 * part + 2)))
        assert delivery.drain(timeout=10) == 0
        path.rename(tmp_path / name)
    delivery.announce(log.add(decide(5)))
    assert delivery.drain(timeout=10) == 0
    delivery.close()
    assert [ids(tmp_path / name) for name in ("monday", "tuesday", "fruit.jsonl")] == [
        ["run-1", "run-2"],
        ["run-3", "run-4"],
        ["run-5"],
    ]


def test_a_file_with_other_columns_is_left_alone(run: RunInfo, tmp_path: Path) -> None:
    path = tmp_path / "fruit.csv"
    path.write_text("fruit,price\nmango,2\n")
    with pytest.raises(SinkError, match="has other columns; name another file, or move this one away"):
        CsvSettings(str(path)).build().open(run)
    assert path.read_text() == "fruit,price\nmango,2\n"


def test_two_lines_do_not_write_one_file(run: RunInfo, tmp_path: Path) -> None:
    first, second = (JsonlSettings(str(tmp_path / "fruit.jsonl")).build() for _ in range(2))
    first.open(run)
    with pytest.raises(SinkError, match="another process writes"):
        second.open(run)
    first.close()
    second.open(run)
    second.close()


def test_a_folder_that_cannot_be_made_is_one_line(run: RunInfo, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SinkError, match=f"^{tmp_path}/file/fruit.csv: "):
        CsvSettings(f"{tmp_path}/file/fruit.csv").build().open(run)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", 256) as folder:
        yield folder


@pytest.mark.parametrize("make", [targets.jsonl, targets.csv, targets.sqlite])
def test_a_full_disk_delays_rows_and_tears_none(
    make: Callable[[Path], AbstractContextManager[targets.Target]], run: RunInfo, tmp_path: Path, disk: Path
) -> None:
    log, ballast = Log(tmp_path / "log.jsonl"), disk / "ballast"
    with make(disk) as target:
        delivery = Delivery(target.settings.build(), log, run)
        delivery.start()
        delivery.announce(log.add(decide(1)))
        until(lambda: delivery.state.position == 1)
        fill(ballast)
        delivery.announce(log.add(*map(decide, range(2, 201))))
        until(lambda: delivery.state.failing)
        assert delivery.state.error.startswith(f"{disk}/")
        assert delivery.state.error.endswith(("no space left on device", "disk is full"))
        ballast.unlink()
        assert delivery.drain(timeout=10) == 0
        delivery.close()
        assert target.arrived() == [*range(1, 201)]


def fill(path: Path) -> None:
    """Write a file until the disk is full."""
    with path.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(512))
