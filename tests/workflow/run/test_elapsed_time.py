"""A run's watch counts the seconds of all its processes, and none of them twice."""

import time
from pathlib import Path

from click.testing import CliRunner
from tiny import TINY

from mango_grader.automl.methods import Phase, Round
from mango_grader.automl.timetable import StepSeconds, Stopwatch, Timetable
from mango_grader.cli import main
from mango_grader.files import read_json


def test_a_short_list_does_not_double_the_time_of_its_search(fruit: Path, tmp_path: Path) -> None:
    """Trainings behind a short list got a third of their time, or none: the search's seconds counted twice."""
    out, began = tmp_path / "run", time.time()
    settings = [part for each in (*TINY, "method.epochs=5") for part in ("--set", each)]
    chosen = ["--method", "enas", "--teacher", "none", "--size", 24]
    options = ["--data", fruit, *chosen, "--device", "cpu", "--budget", "10m"]
    result = CliRunner().invoke(main, [str(each) for each in ("search", "--out", out, *options, *settings)])
    assert result.exit_code == 0, result.output
    written = (out / "shortlist.json").stat().st_mtime - began
    assert read_json(out / "shortlist.json")["seconds"] <= written + 0.1


def test_a_search_that_is_asked_for_its_result_again_does_not_double_its_time() -> None:
    watch = Stopwatch()
    table = Timetable([Round((Phase("weights", 2),))] * 3, StepSeconds(1, 1, 1, 1), 2, watch, deadline=60.0)
    time.sleep(0.2)
    table.took(0, 0.2, 0)
    table.load_state_dict(table.state_dict())
    assert watch.seconds < 0.4
    later = Stopwatch()
    resumed = Timetable(table.schedule, table.expected, 2, later, deadline=60.0)
    resumed.load_state_dict(table.state_dict())
    assert 0.2 < later.seconds < 0.6, "those of an earlier process count"
