"""A line in a process of its own, killed with SIGKILL at random moments: no decision is missing, none comes twice."""

import sys
from pathlib import Path

import pytest
from kill_line import killed, prepare


@pytest.mark.skipif(sys.platform == "win32", reason="it has no SIGKILL")
def test_killed_twenty_times_the_line_makes_the_decisions_of_one_that_nobody_killed(tmp_path: Path) -> None:
    prepare(tmp_path)
    assert killed(tmp_path, kills=20, seed=0) >= 1
