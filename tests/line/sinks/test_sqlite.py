"""The SQLite sink: a schema for others to read, several runs in one database, and locks that only delay."""

import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from deciding import CLASSES, Clock, decide
from logged import Log, until

from mango_grader.errors import SinkError
from mango_grader.line import Delivery, RunInfo
from mango_grader.line.sinks.sqlite import SCHEMA_VERSION, SqliteSettings


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "fruit.db"


@pytest.fixture
def run(tmp_path: Path) -> RunInfo:
    return RunInfo("run", CLASSES, str(tmp_path / "sink"), Clock().now)


@pytest.fixture
def reader(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(path)) as database:
        database.row_factory = sqlite3.Row
        yield database


def test_a_fruit_is_a_row(path: Path, run: RunInfo, reader: sqlite3.Connection) -> None:
    sink = SqliteSettings(str(path)).build()
    sink.open(run)
    sink.deliver([decide(1, review=True, labels=("A", "B")), decide(2, grade=None, probabilities=None)])
    first, second = map(dict, reader.execute("SELECT * FROM fruit ORDER BY sequence"))
    assert (first["id"], first["run"], first["sequence"], first["grade"]) == ("run-1", "run", 1, "B")
    assert (first["review"], first["late"], first["set"], first["length_mm"]) == (1, 0, "A|B", 101.24)
    assert json.loads(first["probabilities"]) == {"A": 0.1, "B": 0.8, "C": 0.1}
    assert (second["grade"], second["probabilities"]) == (None, None)
    found = reader.execute("SELECT json_extract(probabilities, '$.B') FROM fruit WHERE review").fetchone()[0]
    assert found == 0.8
    assert reader.execute("PRAGMA user_version").fetchone()[0] == SCHEMA_VERSION
    assert reader.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
    sink.close()


def test_runs_of_different_models_share_a_database(path: Path, run: RunInfo, reader: sqlite3.Connection) -> None:
    other = replace(run, run="other", classes=("ripe", "rotten"))
    sinks = [SqliteSettings(str(path)).build() for _ in range(2)]
    for sink, of_run in zip(sinks, (run, other), strict=True):
        sink.open(of_run)
    changed = decide(1, id="other-1", grade="ripe", probabilities=(0.9, 0.1))
    sinks[1].deliver([changed])
    sinks[0].deliver([decide(1), decide(2)])
    for sink in sinks:
        sink.close()
    positions = reader.execute("SELECT run, position, classes FROM runs ORDER BY run").fetchall()
    assert [tuple(row) for row in positions] == [("other", 1, '["ripe", "rotten"]'), ("run", 2, '["A", "B", "C"]')]
    assert reader.execute("SELECT count(*) FROM fruit").fetchone()[0] == 3


def test_a_lock_in_the_middle_of_a_run_delays_rows(
    path: Path, run: RunInfo, tmp_path: Path, reader: sqlite3.Connection
) -> None:
    log = Log(tmp_path / "log.jsonl")
    delivery = Delivery(SqliteSettings(str(path), wait_s=0.02).build(), log, run)
    delivery.start()
    delivery.announce(log.add(decide(1)))
    until(lambda: delivery.state.position == 1)
    reader.execute("BEGIN IMMEDIATE")
    delivery.announce(log.add(decide(2), decide(3)))
    until(lambda: delivery.state.failing)
    assert delivery.state.error == f"{path}: database is locked"
    reader.rollback()
    assert delivery.drain(timeout=10) == 0
    delivery.close()
    assert [row["id"] for row in reader.execute("SELECT id FROM fruit ORDER BY sequence")] == [
        "run-1",
        "run-2",
        "run-3",
    ]


def test_a_reader_that_takes_its_time_delays_nothing(path: Path, run: RunInfo, reader: sqlite3.Connection) -> None:
    sink = SqliteSettings(str(path), wait_s=0.0).build()
    sink.open(run)
    sink.deliver([decide(1)])
    reader.execute("BEGIN")
    assert reader.execute("SELECT count(*) FROM fruit").fetchone()[0] == 1
    sink.deliver([decide(2)])
    assert reader.execute("SELECT count(*) FROM fruit").fetchone()[0] == 1
    reader.rollback()
    assert reader.execute("SELECT count(*) FROM fruit").fetchone()[0] == 2
    sink.close()


def test_a_database_of_a_later_version_and_a_file_that_is_none_are_left_alone(path: Path, run: RunInfo) -> None:
    with closing(sqlite3.connect(path)) as database:
        database.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    with pytest.raises(SinkError, match=f"its schema is version {SCHEMA_VERSION + 1}, and this program writes"):
        SqliteSettings(str(path)).build().open(run)
    path.write_text("not a database " * 100)
    with pytest.raises(SinkError, match="not a database"):
        SqliteSettings(str(path)).build().open(run)
    assert path.read_text() == "not a database " * 100


def test_a_delivery_may_be_closed_by_another_thread(path: Path, run: RunInfo) -> None:
    sink = SqliteSettings(str(path)).build()
    thread = threading.Thread(target=sink.open, args=(run,))
    thread.start()
    thread.join()
    sink.deliver([decide(1)])
    sink.close()
    assert sink.position() == 1
