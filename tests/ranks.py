"""Two ranks of one training: this process is rank 0, and a real `mango-grader train` follows it."""

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from threading import Timer

import pytest

from mango_grader.training.world import Rank, World, joined

_PATIENCE = 1200.0
"""Seconds for all tests of a module: some twenty times as many as they need on an idle machine."""
FOLLOWER = (sys.executable, "-W", "error", "-m", "mango_grader", "train")


def environment(rank: int, port: int, machines: int = 1) -> dict[str, str]:
    """Return the variables that torchrun gives a rank of two, on one machine or each on one of its own."""
    numbers = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": 2, "LOCAL_WORLD_SIZE": 2, "MASTER_PORT": port}
    if machines == 2:
        numbers |= {"LOCAL_RANK": 0, "LOCAL_WORLD_SIZE": 1}
    return {"TORCHELASTIC_RUN_ID": "test", "MASTER_ADDR": "127.0.0.1", **{k: str(v) for k, v in numbers.items()}}


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@contextmanager
def two_ranks(
    follower: Sequence[str] = FOLLOWER, variables: Callable[[int, int], Mapping[str, str]] = environment
) -> Iterator[World]:
    """Yield the world as rank 0 sees it; fail if rank 1 does not end well and silently with it.

    follower: the command of rank 1. variables: from a rank and a port to its environment.
    """
    port = free_port()
    process = subprocess.Popen(
        follower,
        env={**os.environ, **variables(1, port)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    with process, ExitStack() as stack:
        stack.callback(process.kill)
        watchdog = Timer(_PATIENCE, process.kill)  # where ranks wait for one another, a fault would hang the tests
        watchdog.start()
        stack.callback(watchdog.cancel)
        with pytest.MonkeyPatch.context() as patch:
            for name, value in variables(0, port).items():
                patch.setenv(name, value)
            with joined(Rank.of(os.environ)) as world:
                patch.undo()  # commands of the tests are alone
                yield world
        said, _ = process.communicate(timeout=60)
        assert (process.returncode, said) == (0, "")
