"""No part of a line measures intervals by the wall clock: it may jump back."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from footage import footage, write_images

import mango_grader

LINE = Path(mango_grader.__file__).parent / "line"
WALL = {"time.time", "time.time_ns", "time", "datetime.now", "datetime.utcnow", "datetime.today", "date.today"}
DATED = {"line.py": ["datetime.now"] * 2}
"""Calls that say on which day a run was made, for people: its name, and when it began. Nothing is computed of them."""


def wall_clocks(code: str) -> list[str]:
    """Return the calls in `code` that read the wall clock."""
    tree = ast.parse(code)
    imported = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "time"
        for alias in node.names
        if alias.name in ("time", "time_ns")
    }
    calls = [ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return [call for call in calls if call in imported or (call in WALL and call != "time")]


@pytest.mark.parametrize("path", sorted(LINE.rglob("*.py")), ids=lambda path: path.relative_to(LINE).as_posix())
def test_nothing_reads_the_wall_clock(path: Path) -> None:
    allowed = DATED.get(path.relative_to(LINE).as_posix(), [])
    assert wall_clocks(path.read_text(encoding="utf-8")) == allowed


def test_the_search_finds_what_it_looks_for() -> None:
    assert wall_clocks("import time\nstart = time.time()") == ["time.time"]
    assert wall_clocks("from time import time as now\nstart = now()") == ["now"]
    assert wall_clocks("from datetime import datetime\nx = datetime.now()") == ["datetime.now"]
    assert wall_clocks("from time import monotonic\nx = monotonic()\nframe.time") == []


def test_a_wall_clock_that_jumps_back_changes_nothing(tmp_path: Path) -> None:
    """In a process whose wall clock runs backwards by an hour at each look, a hot folder ends when it should."""
    write_images(tmp_path / "belt", footage(5))
    code = """
import sys, time
hours = iter(range(10**9))
time.time = lambda: 1e9 - 3600 * next(hours)
time.time_ns = lambda: int(time.time() * 1e9)
from mango_grader.line import HotFolder, buffered
print([frame.index for frame in buffered(HotFolder(sys.argv[1], settle=0.02, fps=10, stop_after=0.2)).frames()])
"""
    command = [sys.executable, "-c", code, str(tmp_path / "belt")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[0, 1, 2, 3, 4]"
