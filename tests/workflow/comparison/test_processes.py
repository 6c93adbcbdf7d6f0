"""Actions in processes of their own."""

import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

from mango_grader.workflow.comparison.processes import Crashed, one_by_one, side_by_side

PARENT = """
from functools import partial
from mango_grader.workflow.comparison.processes import side_by_side
WAIT = "import os, pathlib, time; pathlib.Path({mark!r}).write_text(str(os.getpid())); time.sleep(60)"
if __name__ == "__main__":
    list(side_by_side([partial(exec, WAIT)], 1))
"""


def test_one_that_dies_or_fails_is_told_and_the_others_answer() -> None:
    actions = [partial(os.getpid), partial(os._exit, 7), partial(int, "seven"), partial(os.getpid)]
    results = dict(side_by_side(actions, 2))
    assert results[1] == Crashed("its process ended with exit code 7")
    assert isinstance(results[2], Crashed)
    assert "ValueError" in results[2].reason
    assert len({results[0], results[3], os.getpid()}) == 3, "each has a process of its own"


def test_one_by_one_stays_here() -> None:
    results = dict(one_by_one([partial(os.getpid), partial(int, "seven")]))
    assert results[0] == os.getpid()
    assert isinstance(results[1], Crashed)


def test_none_outlives_a_killed_parent(tmp_path: Path) -> None:
    script, mark = tmp_path / "parent.py", tmp_path / "pid"
    script.write_text(PARENT.format(mark=str(mark)))
    parent = subprocess.Popen([sys.executable, str(script)])
    while not (mark.exists() and mark.read_text()):
        assert parent.poll() is None
        time.sleep(0.02)
    child = int(mark.read_text())
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    for _ in range(500):
        if not _runs(child):
            return
        time.sleep(0.02)
    os.kill(child, signal.SIGKILL)
    raise AssertionError("the child went on without its parent")


def _runs(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z"
