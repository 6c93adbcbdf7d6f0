"""What the sinks of the contract suite deliver to: the real thing, how to read what arrived there, and to break it."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from csv import DictReader
from pathlib import Path
from typing import Protocol

import pytest
from brokers import MOSQUITTO, Broker, Subscriber, broker
from filelock import FileLock
from opcua_plc import opcua_plc
from plc import Plc

from mango_grader.line.sinks import SinkSettings
from mango_grader.line.sinks.csv import CsvSettings
from mango_grader.line.sinks.jsonl import JsonlSettings
from mango_grader.line.sinks.modbus import ModbusSettings
from mango_grader.line.sinks.mqtt import MqttSettings
from mango_grader.line.sinks.opcua import OpcuaSettings
from mango_grader.line.sinks.prometheus import PrometheusSettings
from mango_grader.line.sinks.sqlite import SqliteSettings


class Target(Protocol):
    """Where one sink delivers to; made with a folder, and a context while which it is there.

    settings: of the sink. exactly_once: whether nothing ever arrives twice.
    """

    settings: SinkSettings
    exactly_once: bool

    def arrived(self) -> list[int]:
        """Return the sequence numbers of what arrived, in order, repeats included."""

    def broken(self) -> AbstractContextManager[None]:
        """Make the sink fail while the context lasts; it is entered before the sink is opened."""


class RowsTarget:
    exactly_once = True

    def __init__(self, folder: Path, ending: str) -> None:
        self.path = folder / "made" / f"fruit{ending}"
        kind = {".jsonl": JsonlSettings, ".csv": CsvSettings}[ending]
        self.settings: SinkSettings = kind(str(self.path))

    def arrived(self) -> list[int]:
        if not self.path.exists():
            return []
        with self.path.open(newline="", encoding="utf-8") as file:
            rows = map(json.loads, file) if self.path.suffix == ".jsonl" else DictReader(file)
            return [int(row["id"].rpartition("-")[2]) for row in rows]

    @contextmanager
    def broken(self) -> Iterator[None]:
        self.path.parent.mkdir()
        with FileLock(self.path.with_name(f".{self.path.name}.lock")):
            yield


class SqliteTarget:
    exactly_once = True

    def __init__(self, folder: Path) -> None:
        self.path = folder / "fruit.db"
        self.settings: SinkSettings = SqliteSettings(str(self.path), wait_s=0.05)

    def arrived(self) -> list[int]:
        with closing(sqlite3.connect(self.path)) as database:
            if not database.execute("SELECT 1 FROM sqlite_master WHERE name = 'fruit'").fetchone():
                return []
            return [sequence for (sequence,) in database.execute("SELECT sequence FROM fruit ORDER BY rowid")]

    @contextmanager
    def broken(self) -> Iterator[None]:
        with closing(sqlite3.connect(self.path)) as database:
            database.execute("BEGIN EXCLUSIVE")
            yield


class MqttTarget:
    exactly_once = False

    def __init__(self, broker: Broker, subscriber: Subscriber) -> None:
        self._broker, self._subscriber = broker, subscriber
        self.settings: SinkSettings = MqttSettings("127.0.0.1", broker.port)

    def arrived(self) -> list[int]:
        """Wait until the broker has handed on all that it has, as a message of our own shows."""
        self._subscriber.flush()
        return self._subscriber.sequences()

    @contextmanager
    def broken(self) -> Iterator[None]:
        if MOSQUITTO is None:
            pytest.skip("only mosquitto remembers its subscribers when it starts anew")
        self._broker.stop()
        yield
        self._broker.start()
        self._subscriber.flush()


class ModbusTarget:
    exactly_once = False

    def __init__(self, plc: Plc) -> None:
        self._plc = plc
        self.settings: SinkSettings = ModbusSettings(host="127.0.0.1", port=plc.port)

    def arrived(self) -> list[int]:
        return [result["sequence"] for result in self._plc.taken]

    @contextmanager
    def broken(self) -> Iterator[None]:
        self._plc.stop()
        yield
        self._plc.start()


class OpcuaTarget:
    exactly_once = False

    def __init__(self) -> None:
        self._plc = opcua_plc()
        self.settings: SinkSettings = OpcuaSettings(url=self._plc.url)

    def arrived(self) -> list[int]:
        return [result["Sequence"] for result in self._plc.taken]

    @contextmanager
    def broken(self) -> Iterator[None]:
        self._plc.stop()
        yield
        self._plc.start()


class PrometheusTarget:
    exactly_once = True

    def __init__(self, folder: Path) -> None:
        self.path = folder / "made" / "mango.prom"
        self.settings: SinkSettings = PrometheusSettings(str(self.path))

    def arrived(self) -> list[int]:
        """Return as many numbers as there were fruit: the sink only counts them."""
        if not self.path.exists():
            return []
        lines = self.path.read_text().splitlines()
        counts = [float(line.split()[-1]) for line in lines if line.startswith("mango_grader_fruit_total{")]
        return [*range(1, round(sum(counts)) + 1)]

    @contextmanager
    def broken(self) -> Iterator[None]:
        self.path.parent.touch()
        yield
        self.path.parent.unlink()


@contextmanager
def jsonl(folder: Path) -> Iterator[Target]:
    yield RowsTarget(folder, ".jsonl")


@contextmanager
def csv(folder: Path) -> Iterator[Target]:
    yield RowsTarget(folder, ".csv")


@contextmanager
def sqlite(folder: Path) -> Iterator[Target]:
    yield SqliteTarget(folder)


@contextmanager
def mqtt(folder: Path) -> Iterator[Target]:
    with broker(folder / "broker") as one, Subscriber(one.port) as subscriber:
        yield MqttTarget(one, subscriber)


@contextmanager
def modbus(folder: Path) -> Iterator[Target]:
    with Plc() as plc:
        yield ModbusTarget(plc)


@contextmanager
def opcua(folder: Path) -> Iterator[Target]:
    yield OpcuaTarget()


@contextmanager
def prometheus(folder: Path) -> Iterator[Target]:
    yield PrometheusTarget(folder)
