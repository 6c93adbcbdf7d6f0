"""The benchmark of finders, with small frames and few of them: that it runs, and what counts as correct."""

from pathlib import Path

import numpy as np
from scripts import run_script

from benchmarks.suite.line_finder import is_correct
from mango_grader.line.observations import Blob, Box
from mango_grader.line.simulator import Shown


def test_both_finders_are_timed_on_each_belt(tmp_path: Path) -> None:
    scale = ("--frames", "6", "--width", "480", "--height", "270", "--texture", "mesh")
    found = run_script("line_finder", *scale, out=tmp_path / "line_finder.json")
    assert found["failed"] == {}
    figures = found["measurements"]["mesh"]["figures"]
    assert figures["fruit"] > 6
    assert figures["palette"]["n"] == figures["mog2"]["n"] == 6
    assert figures["palette"]["correct"] > 0.8
    assert min(figures[name]["frames_per_second"] for name in ("palette", "mog2")) > 0
    assert [(row["texture"], row["finder"]) for row in found["summary"]] == [("mesh", "palette"), ("mesh", "mog2")]


def blob(x: int, complete: bool = True) -> Blob:
    return Blob(Box(x, 10, x + 20, 30), np.ones((20, 20), bool), x + 9.5, 19.5, complete)


def test_a_frame_is_correct_if_each_whole_fruit_is_found_once_and_nothing_besides() -> None:
    shown = [Shown(n, "mango", blob(x, x > 0), x, 20) for n, x in enumerate((0, 100, 200), 1)]
    assert is_correct([blob(100), blob(200)], shown)
    assert is_correct([blob(0, complete=False), blob(101), blob(198)], shown)
    assert is_correct([blob(4), blob(100), blob(200)], shown)  # the first is cut off by the border
    assert not is_correct([blob(100)], shown)
    assert not is_correct([blob(100), blob(102), blob(200)], shown)
    assert not is_correct([blob(100), blob(150), blob(200)], shown)
    assert not is_correct([blob(109), blob(200)], shown)
