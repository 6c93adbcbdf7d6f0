"""What every executor promises: each task's result as soon as it is known, whatever becomes of the others."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

import pytest

from mango_grader.executors import Crashed, LocalExecutor, RayExecutor, Task
from mango_grader.executors.site import OpenExecutor

PARENT = """
from functools import partial
from mango_grader.executors import {name}, Task
WAIT = "import os, pathlib, time; pathlib.Path({mark!r}).write_text(str(os.getpid())); time.sleep(120)"
if __name__ == "__main__":
    with {made} as executor:
        executor.submit(Task("waits", partial(exec, WAIT)))
        list(executor.gather())
"""
EXECUTORS = {"local": partial(LocalExecutor, 2), "ray": RayExecutor}
Make = Callable[[], AbstractContextManager[OpenExecutor]]


@pytest.fixture(scope="module", params=EXECUTORS)
def make(request: pytest.FixtureRequest) -> Iterator[Make]:
    """How an executor is made; all that are Ray's share one cluster, which takes long to start."""
    if request.param != "ray":
        yield EXECUTORS[request.param]
        return
    ray = pytest.importorskip("ray")
    with EXECUTORS["ray"]():
        yield EXECUTORS["ray"]
    assert not ray.is_initialized()


def test_one_that_dies_or_fails_is_told_and_the_others_answer(make: Make) -> None:
    with make() as executor:
        for name, action in (
            ("first", partial(os.getpid)),
            ("dies", partial(os._exit, 7)),
            ("fails", partial(int, "seven")),
            ("last", partial(os.getpid)),
        ):
            executor.submit(Task(name, action))
        results = dict(executor.gather())
    assert results.keys() == {"first", "dies", "fails", "last"}
    assert isinstance(results["dies"], Crashed)
    assert results["fails"] == Crashed("unexpected ValueError: invalid literal for int() with base 10: 'seven'")
    assert len({results["first"], results["last"], os.getpid()}) == 3, "each has a process of its own"


def test_results_come_as_soon_as_they_are_known(make: Make) -> None:
    with make() as executor:
        executor.submit(Task("slow", partial(time.sleep, 3)))
        executor.submit(Task("fast", partial(time.sleep, 0)))
        assert [name for name, _ in executor.gather()] == ["fast", "slow"]


def test_what_tasks_write_to_standard_error_appears_here(make: Make, capfd: pytest.CaptureFixture[str]) -> None:
    with make() as executor:
        for name in ("one", "two"):
            executor.submit(Task(name, partial(exec, f"import sys; sys.stderr.write('task {name}' + chr(10))")))
        assert dict(executor.gather()) == {"one": None, "two": None}
    said = capfd.readouterr().err
    assert "task one" in said, said
    assert "task two" in said, said


def test_tasks_may_follow_from_results(make: Make) -> None:
    with make() as executor:
        executor.submit(Task("first", partial(abs, -1)))
        found = []
        for name, result in executor.gather():
            found.append((name, result))
            if name == "first":
                executor.submit(Task("second", partial(abs, -2)))
    assert found == [("first", 1), ("second", 2)]


def test_what_is_cancelled_ends(make: Make, tmp_path: Path) -> None:
    mark = tmp_path / "pid"
    waits = f"import os, pathlib, time; pathlib.Path({str(mark)!r}).write_text(str(os.getpid())); time.sleep(120)"
    with make() as executor:
        executor.submit(Task("fast", partial(abs, -1)))
        executor.submit(Task("waits", partial(exec, waits)))
        next(executor.gather())
        child = pid_in(mark)
        executor.cancel()
        assert list(executor.gather()) == []
        assert ended(child)


@pytest.mark.parametrize("name", EXECUTORS)
def test_none_outlives_a_killed_parent(name: str, tmp_path: Path) -> None:
    if name == "ray":
        pytest.importorskip("ray")
    script, mark = tmp_path / "parent.py", tmp_path / "pid"
    made = {"local": "LocalExecutor(2)", "ray": "RayExecutor()"}[name]
    script.write_text(PARENT.format(mark=str(mark), name=made.partition("(")[0], made=made))
    with subprocess.Popen([sys.executable, str(script)]) as parent:
        child = pid_in(mark)
        parent.send_signal(signal.SIGKILL)
    assert ended(child)


def pid_in(mark: Path) -> int:
    """Return the process number that a task writes there, once it has begun."""
    end = time.monotonic() + 120
    while not (mark.exists() and mark.read_text()):
        assert time.monotonic() < end, "it does not begin"
        time.sleep(0.02)
    return int(mark.read_text())


def ended(pid: int) -> bool:
    """Return whether a process ends within a minute."""
    stat, end = Path(f"/proc/{pid}/stat"), time.monotonic() + 60
    while time.monotonic() < end:
        try:
            if stat.read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.05)
    return False
