"""What all benchmarks share: a failure is reported, stops nothing, and is tried again; results are kept compactly."""

import math
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import click
import pytest
from scripts import read_rows

from benchmarks.lib.compared import compact, outcome_of
from benchmarks.lib.measurements import Ledger, Measurement, figures_of, measure_all
from mango_grader.files import read_json, write_json
from mango_grader.workflow.comparison.outcomes import ExitFigures, Outcome, RunFigures


@pytest.fixture
def measured(tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Return a function that makes measurements by name, resuming where it can, and returns the file."""
    out = tmp_path / "found.json"

    def measure(setup: int = 1, **actions: Callable[[], Any]) -> dict[str, Any]:
        ledger = Ledger("found", out, {"setup": setup}, lambda figures: [{"name": name} for name in sorted(figures)])
        ledger.open(resume=out.exists())
        measure_all(ledger, [Measurement(name, action) for name, action in actions.items()], math.inf, 1)
        ledger.save()
        found: dict[str, Any] = read_json(out)
        return found

    return measure


def test_a_measurement_that_fails_stops_no_other_and_is_tried_again(measured: Callable[..., dict[str, Any]]) -> None:
    first = measured(bad=partial(math.sqrt, -1.0), good=partial(math.sqrt, 4.0))
    assert first["failed"].keys() == {"bad"}
    assert "ValueError" in first["failed"]["bad"]
    second = measured(bad=partial(math.sqrt, 9.0), good=partial(math.sqrt, 16.0))
    assert second["failed"] == {}
    figures = {name: measurement["figures"] for name, measurement in second["measurements"].items()}
    assert figures == {"bad": 3.0, "good": 2.0}, "what was measured stays"


def test_a_killed_process_ends_the_run_and_keeps_what_is_done(
    measured: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    with pytest.raises(click.ClickException, match="killed, or a measurement beside it"):
        measured(good=partial(math.sqrt, 4.0), killed=partial(os._exit, 9))
    assert read_json(tmp_path / "found.json")["measurements"].keys() == {"good"}


def test_results_of_another_setup_are_not_mixed(measured: Callable[..., dict[str, Any]]) -> None:
    measured(good=partial(math.sqrt, 4.0))
    with pytest.raises(click.UsageError, match="another setup"):
        measured(setup=2, good=partial(math.sqrt, 4.0))


def test_a_file_of_an_earlier_version_is_refused(measured: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    write_json(tmp_path / "found.json", {"setup": {"setup": 1}, "conditions": [], "cells": {}})
    with pytest.raises(click.UsageError, match="earlier version"):
        measured(good=partial(math.sqrt, 4.0))


def test_images_are_kept_once_and_a_summary_has_a_column_for_each_nested_value(tmp_path: Path) -> None:
    rows = [
        {"name": "a", "exits": [{"macs": 1}, {"macs": 2}], "gain": None, "folds": [1, 2]},
        {"name": "b", "exits": [{"macs": 3}], "gain": {"value": 0.5}, "folds": [1]},
    ]
    ledger = Ledger("found", tmp_path / "found.json", {}, lambda figures: rows)
    images = {"a.png": "group 1", "b.png": "group 2"}
    for name in ("first", "second"):
        ledger.add(name, {"images": images, "correct": ["10"]}, 1.0, {"machine": "any"})
    ledger.save()
    kept = read_json(tmp_path / "found.json")
    assert kept["images"] == [images]
    assert kept["measurements"]["second"]["figures"] == {"images": 0, "correct": ["10"]}
    assert (
        ledger.figures
        == figures_of(kept)
        == {name: {"images": images, "correct": ["10"]} for name in kept["measurements"]}
    )
    assert (tmp_path / "found.csv").read_text().splitlines() == [
        "name,exits.1.macs,exits.2.macs,gain,folds,gain.value",
        "a,1,2,,1 2,",
        "b,3,,,1,0.5",
    ]
    first, second = read_rows(tmp_path / "found.csv")
    assert first == {"name": "a", "exits": [{"macs": 1}, {"macs": 2}], "gain": None, "folds": "1 2"}
    assert second == {"name": "b", "exits": [{"macs": 3}], "gain": {"value": 0.5}, "folds": 1}


def test_marks_of_a_run_survive_their_compact_form() -> None:
    exits = tuple(ExitFigures(accuracy=0.5, validation=0.5, macs=1, params=1) for _ in "01")
    marks = {"7": {"a.png": "01", "b.png": "11"}, "5": {"c.png": "00"}}
    outcome = Outcome("plain", 1, RunFigures(exits, validated=1, seconds=None, correct=marks))
    figures = compact(outcome)
    assert figures["correct"] == ["010", "110"]
    assert outcome_of(figures) == outcome


def test_no_clock_decides_what_a_test_of_a_script_measures() -> None:
    """On a busy machine a limit in minutes left measurements out, and the tests of two scripts failed."""
    tests = [path for path in Path(__file__).parent.glob("test_*.py") if path != Path(__file__)]
    assert tests
    assert not [path.name for path in tests if "--minutes" in path.read_text(encoding="utf-8")]
