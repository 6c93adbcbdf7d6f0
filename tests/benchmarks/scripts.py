"""Benchmark scripts as users run them: real processes, one thread each."""

import csv
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from mango_grader.files import read_json

ROOT = Path(__file__).parents[2]
SMALL_TEACHER = ("teacher.recipe.epochs=1", "teacher.height=32", "teacher.width=32", "teacher.views=1")
"""Settings for a search's teacher, which would otherwise be fine-tuned at 224 pixels."""


def run_script(name: str, *options: str, out: Path) -> dict[str, Any]:
    """Run benchmarks/suite/`name`.py with `options` and `--out out`; return its JSON, and its CSV as "summary".

    What is measured is counted by the options, never by the clock: a busy machine must not cut a test short. Raises
    AssertionError with what the script printed if it fails.
    """
    script = ROOT / "benchmarks" / "suite" / f"{name}.py"
    timeless = ("--minutes", "inf") if "@measurement_options" in script.read_text(encoding="utf-8") else ()
    arguments = [sys.executable, "-m", f"benchmarks.suite.{name}", *options, *timeless, "--out", str(out)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(arguments, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{name} exits {done.returncode}\n{done.stdout}\n{done.stderr}"
    found: dict[str, Any] = read_json(out)
    return {**found, "summary": read_rows(out.with_suffix(".csv"))} if "measurements" in found else found


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Return the rows of a summary, nested as the script made them: columns `exits.1.macs`, … become lists."""
    with path.open(encoding="utf-8", newline="") as file:
        return [_nested(row) for row in csv.DictReader(file)]


def _nested(row: dict[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in row.items():
        head, _, rest = name.partition(".")
        if not rest:
            found.setdefault(head, _value(value))
        elif value != "":
            found[head] = {**(found.get(head) or {}), rest: value}
    for head, value in found.items():
        if isinstance(value, dict):
            inner = _nested(value)
            in_order = list(inner) == [str(place) for place in range(1, len(inner) + 1)]
            found[head] = list(inner.values()) if in_order else inner
    return found


def _value(text: str) -> Any:
    words = {"": None, "True": True, "False": False}
    if text in words:
        return words[text]
    try:
        return float(text)
    except ValueError:
        return text


def measurements_done(found: dict[str, Any]) -> dict[str, float]:
    """Return every measurement's seconds: what a run that measures nothing anew leaves as it was."""
    return {name: measurement["seconds"] for name, measurement in found["measurements"].items()}
