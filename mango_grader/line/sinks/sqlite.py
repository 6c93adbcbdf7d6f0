"""The sink `sqlite`: a database with one row per fruit, which other programs may read meanwhile."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mango_grader import files
from mango_grader.errors import SinkError
from mango_grader.line.decision import Decision, column_kinds, to_row
from mango_grader.line.sinks.base import RunInfo, SinkSettings
from mango_grader.ranges import NotNegative

SCHEMA_VERSION = 1
"""The database's `user_version`."""

_TYPES = {str: "TEXT", int: "INTEGER", float: "REAL", bool: "INTEGER"}
_COLUMNS = column_kinds(())
_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS runs (run TEXT PRIMARY KEY, classes TEXT NOT NULL, position INTEGER NOT NULL)",
    "CREATE TABLE IF NOT EXISTS fruit ("
    + ", ".join(f'"{name}" {_TYPES[kind]}' for name, kind in _COLUMNS.items())
    + ", run TEXT NOT NULL REFERENCES runs (run), sequence INTEGER NOT NULL, probabilities TEXT"
    + ", PRIMARY KEY (id), UNIQUE (run, sequence))",
    f"PRAGMA user_version = {SCHEMA_VERSION}",
)
_INSERT = f"INSERT INTO fruit VALUES ({', '.join('?' * (len(_COLUMNS) + 3))}) ON CONFLICT (id) DO NOTHING"


@dataclass(frozen=True)
class SqliteSettings(SinkSettings):
    """Rows are added to a SQLite database, each exactly once; several runs may share one.

    The row and the position of the sink are written in one transaction, and ids are unique. The database is in WAL
    mode: others read it while the line writes. While another program has it locked, decisions wait.

    The table `fruit` has the columns of every table of decisions, except that the probabilities are one column,
    `probabilities`, a JSON object by class, since the runs of one database may have different models; and `run` and
    `sequence`, unique together. Booleans are 0 and 1. The table `runs` holds the sink's `position` by `run`.

    Attributes:
        path: of the database; it and its folder are made if needed.
        name: of the sink.
        wait_s: seconds to wait for a locked database before the attempt counts as failed.

    Example:
        ```sql
        SELECT grade, count(*) FROM fruit WHERE status = 'decided' GROUP BY grade;
        SELECT id, json_extract(probabilities, '$.A') FROM fruit WHERE review;
        ```
    """

    path: str
    name: str = "sqlite"
    wait_s: NotNegative = 2.0

    def build(self) -> "SqliteSink":
        """Return the sink, not yet opened."""
        return SqliteSink(self)


class SqliteSink:
    """Adds one row per decision to a database.

    Args:
        settings: of the sink.
    """

    actuator = False
    missed = 0

    def __init__(self, settings: SqliteSettings) -> None:
        self.name, self._settings = settings.name, settings
        self._position = 0
        self._connection: sqlite3.Connection | None = None

    def open(self, run: RunInfo) -> None:
        """Open the database; its tables are made if needed."""
        self._run, path = run, Path(self._settings.path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # Autocommit; transactions are begun below. The thread of the delivery may not be the one that closes.
            self._connection = sqlite3.connect(
                path, timeout=self._settings.wait_s, isolation_level=None, check_same_thread=False
            )
            self._prepare(self._connection)
        except (OSError, sqlite3.Error, SinkError) as error:
            self.close()
            raise self._failed(error) from error

    def deliver(self, decisions: Sequence[Decision]) -> None:
        """Add the rows and move the position in one transaction."""
        assert self._connection is not None, "deliver needs open"
        rows = [self._row(decision) for decision in decisions]
        try:
            with _transaction(self._connection) as transaction:
                transaction.executemany(_INSERT, rows)
                transaction.execute(
                    "UPDATE runs SET position = ? WHERE run = ?", (decisions[-1].sequence, self._run.run)
                )
        except sqlite3.Error as error:
            raise self._failed(error) from error
        self._position = decisions[-1].sequence

    def position(self) -> int:
        """Return the sequence number of the last decision that is in the database."""
        return self._position

    def close(self) -> None:
        """Close the database."""
        if self._connection is not None:
            self._connection.close()
        self._connection = None

    def _prepare(self, connection: sqlite3.Connection) -> None:
        connection.execute("PRAGMA journal_mode = WAL")
        # A power cut may undo the last transactions, but whole: the position goes back with the rows, and they are
        # delivered again from the log.
        connection.execute("PRAGMA synchronous = NORMAL")
        with _transaction(connection) as transaction:
            (version,) = transaction.execute("PRAGMA user_version").fetchone()
            if version not in (0, SCHEMA_VERSION):
                raise SinkError(f"its schema is version {version}, and this program writes {SCHEMA_VERSION}")
            for statement in _SCHEMA:
                transaction.execute(statement)
            transaction.execute(
                "INSERT INTO runs VALUES (?, ?, 0) ON CONFLICT (run) DO NOTHING",
                (self._run.run, files.to_json(list(self._run.classes), ensure_ascii=False)),
            )
            position = transaction.execute("SELECT position FROM runs WHERE run = ?", (self._run.run,))
            (self._position,) = position.fetchone()

    def _row(self, decision: Decision) -> tuple[Any, ...]:
        classes = self._run.classes
        row = to_row(decision, classes)
        numbers = None if decision.probabilities is None else {name: row[f"p_{name}"] for name in classes}
        probabilities = None if numbers is None else files.to_json(numbers, ensure_ascii=False)
        return (*(row[name] for name in _COLUMNS), self._run.run, decision.sequence, probabilities)

    def _failed(self, error: Exception) -> SinkError:
        return SinkError(f"{self._settings.path}: {error}")


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """Begin a transaction that may write; it is undone if the body fails."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield connection
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
