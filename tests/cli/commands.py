"""How tests call the command line: in this process, or as the real thing."""

import csv
import subprocess
import sys
from pathlib import Path

from click.testing import CliRunner, Result

from mango_grader.cli import main

COMMAND = (sys.executable, "-W", "error", "-m", "mango_grader")


def call(*arguments: str | Path) -> Result:
    """Run a command in this process; fail if an exception got through."""
    result = CliRunner().invoke(main, [str(one) for one in arguments], prog_name="mango-grader")
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert "Traceback" not in result.output
    return result


def start(*arguments: str | Path | bytes) -> "subprocess.Popen[bytes]":
    """Start a command as a process of its own."""
    return subprocess.Popen(
        [*COMMAND, *(one if isinstance(one, bytes) else str(one) for one in arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def read_csv(path: Path) -> list[dict[str, str]]:
    """Read a result file."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
