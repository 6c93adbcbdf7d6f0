"""This machine's processes; the crash of one task does not affect the others."""

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from types import TracebackType
from typing import Any, Self

from mango_grader.executors.base import Crashed, Task, outcome_of


@dataclass(frozen=True)
class _Worker:
    """A process that performs the actions it is sent, one by one."""

    process: BaseProcess
    connection: Connection

    @classmethod
    def started(cls) -> Self:
        spawn = multiprocessing.get_context("spawn")
        own, other = spawn.Pipe()
        process = spawn.Process(target=_work, args=(other,), daemon=True)
        process.start()
        other.close()
        return cls(process, own)

    def result(self) -> Any:
        """Return what its action returned, which is there or will never be."""
        try:
            return self.connection.recv()
        except (EOFError, ConnectionResetError):
            self.process.join()
            return Crashed(f"its process ended with exit code {self.process.exitcode}")

    def end(self, at_once: bool = False) -> None:
        """End the process, which has nothing to do or shall not finish it."""
        if at_once:
            self.process.terminate()
        self.connection.close()
        self.process.join()


class LocalExecutor:
    """Runs tasks in the order in which they are submitted; no process outlives this one, however it ends.

    Args:
        jobs: how many tasks run at a time, each in another process than this; 1 runs them in this process, one by one.

    Attributes:
        page: None; there is none.
    """

    def __init__(self, jobs: int = 1) -> None:
        self.page: str | None = None
        self._jobs = jobs
        self._waiting: deque[Task] = deque()
        self._running: dict[Connection, tuple[Task, _Worker]] = {}
        self._idle: list[_Worker] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.cancel()

    def submit(self, task: Task) -> None:
        """Take a task; it begins when `gather` is called."""
        self._waiting.append(task)

    def gather(self) -> Iterator[tuple[str, Any]]:
        """Yield (name, what its action returned, or `Crashed`) of each task as soon as it is known."""
        if self._jobs == 1:
            while self._waiting:
                task = self._waiting.popleft()
                yield task.name, outcome_of(task.action)
            return
        while self._waiting or self._running:
            while self._waiting and len(self._running) < self._jobs:
                self._begin(self._waiting.popleft())
            for connection in wait(list(self._running)):
                assert isinstance(connection, Connection)
                task, worker = self._running.pop(connection)
                result = worker.result()
                if task.fresh or not worker.process.is_alive():
                    worker.end()
                else:
                    self._idle.append(worker)
                yield task.name, result

    def cancel(self) -> None:
        """End what is running, and forget what has not begun."""
        self._waiting.clear()
        for _, worker in self._running.values():
            worker.end(at_once=True)
        for worker in self._idle:
            worker.end()
        self._running.clear()
        self._idle.clear()

    def _begin(self, task: Task) -> None:
        worker = self._idle.pop() if self._idle and not task.fresh else _Worker.started()
        worker.connection.send(task.action)
        self._running[worker.connection] = (task, worker)


def _work(connection: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the interrupted parent ends its processes itself
    end_with_parent()
    while True:
        try:
            action = connection.recv()
        except EOFError:  # there is nothing more to do
            return
        connection.send(outcome_of(action))


def end_with_parent() -> None:
    """End this process when the one that started it ends: a killed parent cannot stop its children."""
    threading.Thread(target=_wait_for_the_end, daemon=True).start()


def _wait_for_the_end() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)
