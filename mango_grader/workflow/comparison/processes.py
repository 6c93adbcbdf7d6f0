"""Actions one by one or side by side; the crash of one action does not affect the others."""

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Crashed:
    """The result of an action that failed unexpectedly.

    Attributes:
        reason: why, in one line.
    """

    reason: str


def one_by_one(actions: Sequence[Callable[[], T]]) -> Iterator[tuple[int, T | Crashed]]:
    """Yield (place in `actions`, result) of each in turn, done in this process."""
    for place, action in enumerate(actions):
        yield place, _result(action)


def side_by_side(actions: Sequence[Callable[[], T]], jobs: int) -> Iterator[tuple[int, T | Crashed]]:
    """Yield (place in `actions`, result) as results come, each action in a process of its own.

    No process outlives this one, however it ends.

    Args:
        actions: begun in this order; they and their results are sent between processes.
        jobs: how many run at a time.
    """
    spawn = multiprocessing.get_context("spawn")
    waiting = deque(enumerate(actions))
    running: dict[Connection, tuple[int, BaseProcess]] = {}
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                place, action = waiting.popleft()
                reader, writer = spawn.Pipe(duplex=False)
                process = spawn.Process(target=_work, args=(action, writer), daemon=True)
                process.start()
                writer.close()
                running[reader] = (place, process)
            ready = wait(list(running))
            for reader in [each for each in running if each in ready]:
                place, child = running.pop(reader)
                yield place, _received(reader, child)
    finally:
        for _, child in running.values():
            child.terminate()
            child.join()


def _received(reader: Connection, process: BaseProcess) -> Any:
    with reader:
        try:
            return reader.recv()
        except EOFError:
            process.join()
            return Crashed(f"its process ended with exit code {process.exitcode}")
        finally:
            process.join()


def _work(action: Callable[[], object], writer: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the interrupted parent ends its processes itself
    end_with_parent()
    writer.send(_result(action))


def _result(action: Callable[[], T]) -> T | Crashed:
    try:
        return action()
    except Exception as error:
        return Crashed(f"unexpected {type(error).__name__}: {error}")


def end_with_parent() -> None:
    """End this process when the one that started it ends: a killed parent cannot stop its children."""
    threading.Thread(target=_wait_for_the_end, daemon=True).start()


def _wait_for_the_end() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)
