"""The frame of all benchmarks: what fails is told, stops nothing, and is tried again."""

import math
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import click
import pytest

from benchmarks.lib.measurements import Cell, Ledger, measure_cells
from mango_grader.files import read_json


@pytest.fixture
def measured(tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Return what measures cells by name, resumes if there is something to resume, and returns the file."""

    out = tmp_path / "found.json"

    def measure(setup: int = 1, **actions: Callable[[], Any]) -> dict[str, Any]:
        ledger = Ledger("found", out, {"setup": setup}, sorted)
        ledger.open(resume=out.exists())
        measure_cells(ledger, [Cell(name, action) for name, action in actions.items()], math.inf, 1)
        ledger.save()
        found: dict[str, Any] = read_json(out)
        return found

    return measure


def test_a_cell_that_fails_stops_no_other_and_is_tried_again(measured: Callable[..., dict[str, Any]]) -> None:
    first = measured(bad=partial(math.sqrt, -1.0), good=partial(math.sqrt, 4.0))
    assert first["failed"].keys() == {"bad"}
    assert "ValueError" in first["failed"]["bad"]
    assert first["summary"] == ["good"]
    second = measured(bad=partial(math.sqrt, 9.0), good=partial(math.sqrt, 16.0))
    assert second["failed"] == {}
    figures = {name: cell["figures"] for name, cell in second["cells"].items()}
    assert figures == {"bad": 3.0, "good": 2.0}, "what was measured stays"


def test_a_killed_process_ends_the_run_and_keeps_what_is_done(
    measured: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    with pytest.raises(click.ClickException, match="killed, or a cell beside it"):
        measured(good=partial(math.sqrt, 4.0), killed=partial(os._exit, 9))
    assert read_json(tmp_path / "found.json")["cells"].keys() == {"good"}


def test_results_of_another_setup_are_not_mixed(measured: Callable[..., dict[str, Any]]) -> None:
    measured(good=partial(math.sqrt, 4.0))
    with pytest.raises(click.UsageError, match="another setup"):
        measured(setup=2, good=partial(math.sqrt, 4.0))


def test_no_clock_decides_what_a_test_of_a_script_measures() -> None:
    """On a busy machine a limit in minutes left measurements out, and the tests of two scripts failed."""
    tests = [path for path in Path(__file__).parent.glob("test_*.py") if path != Path(__file__)]
    assert tests
    assert not [path.name for path in tests if "--minutes" in path.read_text(encoding="utf-8")]
