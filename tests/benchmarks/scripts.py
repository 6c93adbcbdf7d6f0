"""Benchmark scripts as who types them runs them: real processes, one thread each."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from mango_grader.files import read_json

ROOT = Path(__file__).parents[2]


def run_script(name: str, *options: str, out: Path) -> dict[str, Any]:
    """Run benchmarks/suite/`name`.py with `options` and `--out out`; return its JSON.

    What is measured is counted by the options, never by the clock: a busy machine must not cut a test short. Raises
    AssertionError with what the script printed if it fails.
    """
    script = ROOT / "benchmarks" / "suite" / f"{name}.py"
    timeless = ("--minutes", "inf") if "@cell_options" in script.read_text(encoding="utf-8") else ()
    arguments = [sys.executable, "-m", f"benchmarks.suite.{name}", *options, *timeless, "--out", str(out)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(arguments, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{name} exits {done.returncode}\n{done.stdout}\n{done.stderr}"
    found: dict[str, Any] = read_json(out)
    return found


def cells_done(found: dict[str, Any]) -> dict[str, float]:
    """Return every cell's seconds: what a run that measures nothing anew leaves as it was."""
    return {name: cell["seconds"] for name, cell in found["cells"].items()}
