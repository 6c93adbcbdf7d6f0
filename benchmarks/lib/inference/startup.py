"""How long commands take to start, and a model to load."""

import os
import subprocess
import sys
from typing import Any

import numpy as np

from mango_grader.cli import COMMANDS

_LOAD = """
import sys, time
start = time.perf_counter()
from mango_grader.runtime import Grader
Grader
imported = time.perf_counter()
Grader.load(sys.argv[1], "cpu")
print(imported - start, time.perf_counter() - imported)
"""


def help_seconds(rounds: int) -> dict[str, Any]:
    """Return the CPU seconds, user and system, of `--help`: of every command, the median of `rounds` processes."""
    commands = ("", *COMMANDS, "data inspect", "data synth")
    found = {
        command or "mango-grader": float(np.median([_cpu_seconds(command.split()) for _ in range(rounds)]))
        for command in commands
    }
    return {"rounds": rounds, "cpu_s": found, "most_s": max(found.values())}


def load_seconds(model: str, rounds: int) -> dict[str, Any]:
    """Return the seconds of importing and of `Grader.load` with its check, medians of the first load of a process."""
    command = [sys.executable, "-c", _LOAD, model]
    found = [
        [float(value) for value in subprocess.run(command, capture_output=True, check=True).stdout.split()]
        for _ in range(rounds)
    ]
    imported, loaded = np.median(found, axis=0).tolist()
    return {"rounds": rounds, "import_s": imported, "load_s": loaded}


def _cpu_seconds(arguments: list[str]) -> float:
    command = [sys.executable, "-m", "mango_grader", *arguments, "--help"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} exits {process.returncode}")
    return used.ru_utime + used.ru_stime
