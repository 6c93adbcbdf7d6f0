"""Kills: whatever the moment, nothing is lost, and what cannot be twice is there once."""

import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import fields
from pathlib import Path

import deliver
import pytest
import targets
from deciding import CLASSES, Clock, decide
from logged import Log, until

from mango_grader.files import to_json
from mango_grader.line import Delivery, RunInfo

FRUIT, KILLS = 600, 3
TARGETS = {
    "jsonl": targets.jsonl,
    "sqlite": targets.sqlite,
    "mqtt": targets.mqtt,
    "prometheus": targets.prometheus,
}
each_target = pytest.mark.parametrize("make", TARGETS.values(), ids=TARGETS.keys())
Make = Callable[[Path], AbstractContextManager[targets.Target]]


@each_target
def test_a_process_that_is_killed_again_and_again_loses_nothing(make: Make, tmp_path: Path) -> None:
    log = Log(tmp_path / "log.jsonl")
    moments, waiting = random.Random(0), list(range(FRUIT, 0, -1))
    with make(tmp_path) as target:
        for _ in range(KILLS):
            before = len(target.arrived())
            with started(target, log, tmp_path / "sink") as process:
                try:
                    log.add(decide(waiting.pop()))
                    until(lambda before=before: len(target.arrived()) > before)
                    for _ in range(moments.randint(1, FRUIT // KILLS - 1)):
                        log.add(decide(waiting.pop()))
                        time.sleep(0.0005)
                finally:
                    process.kill()
        log.add(*map(decide, reversed(waiting)))
        delivery = Delivery(target.settings.build(), log, RunInfo("run", CLASSES, str(tmp_path / "sink"), Clock().now))
        delivery.start()
        delivery.announce(FRUIT)
        assert delivery.drain(timeout=30) == 0
        delivery.close()
        arrived = target.arrived()
        assert list(dict.fromkeys(arrived)) == [*range(1, FRUIT + 1)]
        assert not target.exactly_once or len(arrived) == FRUIT


@each_target
def test_a_kill_between_the_delivery_and_the_cursor_is_harmless(make: Make, tmp_path: Path) -> None:
    run = RunInfo("run", CLASSES, str(tmp_path / "sink"), Clock().now)
    with make(tmp_path) as target:
        sink = target.settings.build()
        sink.open(run)
        sink.deliver([decide(1), decide(2)])
        kept = tmp_path / "kept"
        Path(run.folder).mkdir(exist_ok=True)  # SQLite keeps its position in the database
        shutil.copytree(run.folder, kept)
        sink.deliver([decide(3), decide(4)])
        sink.close()
        shutil.rmtree(run.folder)
        kept.rename(run.folder)
        sink = target.settings.build()
        sink.open(run)
        start = sink.position()
        sink.deliver([decide(sequence) for sequence in range(start + 1, 6)])
        sink.close()
        assert list(dict.fromkeys(target.arrived())) == [1, 2, 3, 4, 5]
        assert not target.exactly_once or target.arrived() == [1, 2, 3, 4, 5]


def started(target: targets.Target, log: Log, folder: Path) -> subprocess.Popen[bytes]:
    settings = target.settings
    kind = f"{type(settings).__module__.rpartition('.')[2]}.{type(settings).__name__}"
    values = to_json({each.name: getattr(settings, each.name) for each in fields(settings)})
    return subprocess.Popen([sys.executable, str(deliver.__file__), kind, values, str(log.path), str(folder)])
