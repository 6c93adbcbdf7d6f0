"""A log on disk, as deliveries read it, small enough for tests."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from mango_grader.line import Decision


class Log:
    """A file of decisions that grows; each delivery reads it by itself, and goes on where it was."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.touch()
        self._last = self._place = 0

    def reader(self) -> "Log":
        """Return a reader for one more delivery."""
        return Log(self.path)

    def add(self, *decisions: Decision) -> int:
        """Add decisions; return the number of the last one."""
        with self.path.open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(decision.to_dict()) + "\n" for decision in decisions)
        return decisions[-1].sequence

    def after(self, sequence: int) -> Iterator[Decision]:
        if sequence < self._last:
            self._last = self._place = 0
        with self.path.open("rb") as file:
            file.seek(self._place)
            for line in file:
                if not line.endswith(b"\n"):
                    return
                decision = Decision.from_dict(json.loads(line))
                self._last, self._place = decision.sequence, self._place + len(line)
                if decision.sequence > sequence:
                    yield decision


def until(true: Callable[[], object], seconds: float = 10.0) -> None:
    """Wait until something is true."""
    give_up = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < give_up, "it did not happen in time"
        time.sleep(0.005)
