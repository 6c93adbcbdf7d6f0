"""Systems without POSIX's own modules, such as Windows: everything is imported and a whole search runs."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tiny import TINY

# As on Windows: no such modules, and `os` has no such functions.
BLOCKED = """
import os, sys
for name in ("fcntl", "resource", "pwd", "grp", "termios", "tty", "pty", "syslog"):
    sys.modules[name] = None
for name in ("sched_getaffinity", "fork", "getuid", "geteuid", "getgid", "killpg", "setsid", "getloadavg", "mkfifo"):
    delattr(os, name)
"""


def without_posix(code: str, *arguments: str, home: Path | None = None) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-c", BLOCKED + code, *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    ended = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=home, check=False)
    assert ended.returncode == 0, ended.stderr
    return ended


def test_every_module_is_imported_without_fcntl_and_resource() -> None:
    code = """
import importlib, pkgutil, mango_grader
for module in pkgutil.walk_packages(mango_grader.__path__, "mango_grader."):
    if module.name != "mango_grader.__main__":
        importlib.import_module(module.name)
"""
    without_posix(code)


@pytest.mark.skipif(sys.platform == "win32", reason="blocks what is not there anyway")
def test_a_search_runs_without_fcntl_and_resource(fruit: Path, tmp_path: Path) -> None:
    settings = (part for setting in (*TINY, "train.epochs=1") for part in ("--set", setting))
    options = ("--data", str(fruit), "--method", "enas", "--teacher", "none", "--size", "24", "--device", "cpu")
    command = "from mango_grader.cli import main; main()"
    ended = without_posix(command, "search", *options, *settings, home=tmp_path)
    (run,) = (tmp_path / "runs").iterdir()
    (plan,) = [line for line in ended.stderr.splitlines() if line.startswith("plan: search")]
    assert "MB" not in plan, "memory that nobody measured"
    model, grades = str(run / "model.mango"), str(tmp_path / "grades.csv")
    without_posix(command, "grade", str(fruit / "red"), "--model", model, "--out", grades, home=tmp_path)
    for path in (each.relative_to(tmp_path) for each in tmp_path.rglob("*")):
        assert not set(str(path)) & set('<>:"|?*\\'), f"Windows refuses the name of {path}"
        assert not any(part.endswith((".", " ")) for part in path.parts), path
