"""Processes that read hostile files one after the other, each under a limit of time and memory, and that may die."""

import json
import os
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Any, Self

from memory import forget_peak, limit_memory, peak_mib

START = 60.0
"""Seconds more for the first answer: Python and its imports take their time, too."""


class Worker:
    """A process that says one line of JSON about each of its cases.

    Args:
        command: arguments of the interpreter, whose process calls `answer_each`.
    """

    def __init__(self, command: Sequence[str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-W", "error", *command], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        self._begun = False
        self._rest = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.communicate()

    def answer(self, limit: float) -> dict[str, Any] | str:
        """Return what is said about the next case, or why nothing is: it hung for `limit` seconds, or crashed."""
        assert self._process.stdout is not None
        limit = limit if self._begun else limit + START
        until = time.monotonic() + limit
        while b"\n" not in self._rest:
            ready, _, _ = select.select([self._process.stdout], [], [], max(0.0, until - time.monotonic()))
            if not ready:
                return f"hung for more than {limit:.0f} s"
            more = os.read(self._process.stdout.fileno(), 1 << 16)
            if not more:
                return f"crashed with exit code {self._process.wait()}"
            self._rest += more
        self._begun = True
        line, _, self._rest = self._rest.partition(b"\n")
        found: dict[str, Any] = json.loads(line)
        return found


def answers(
    command: Callable[[int], Sequence[str]], first: int, count: int, limit: float
) -> Iterator[tuple[int, dict[str, Any] | str, float]]:
    """Yield the number of each case, what is said about it or why nothing is, and its seconds.

    Args:
        command: of the process that begins with a given case; a new one follows each that hung or crashed.
        first: number of the first case.
        count: number of cases.
        limit: seconds that a case may take.
    """
    number = first
    while number < first + count:
        with Worker(command(number)) as worker:
            while number < first + count:
                start = time.monotonic()
                found = worker.answer(limit)
                yield number, found, time.monotonic() - start
                number += 1
                if isinstance(found, str):
                    break


def answer_each(read: Iterator[Callable[[], dict[str, Any]]], most_memory: int) -> None:
    """Say one line about each case: what reading it returns, and as "peak" the mebibytes that it took.

    An exception, or a byte that was printed meanwhile, by C libraries too, is said as "failure".

    Args:
        read: one function per case.
        most_memory: mebibytes of address space that this process may have.
    """
    limit_memory(most_memory)
    with os.fdopen(os.dup(1), "w") as out, tempfile.TemporaryFile() as printed:
        os.dup2(printed.fileno(), 1)
        os.dup2(printed.fileno(), 2)
        for one in read:
            forget_peak()
            try:
                said = one()
            except BaseException as error:
                said = {"failure": f"raised {type(error).__name__}: {str(error)[:200]}"}
            sys.stdout.flush()
            sys.stderr.flush()
            printed.seek(0)
            if noise := printed.read():
                said["failure"] = f"printed {noise[:200]!r}"
                printed.seek(0)
                printed.truncate()
            out.write(json.dumps(said | {"peak": peak_mib()}) + "\n")
            out.flush()
