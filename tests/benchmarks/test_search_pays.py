"""Whether a search pays: p-values of several comparisons, and a run of this checkout beside another's."""

from pathlib import Path

import pytest
from scripts import ROOT, SMALL_TEACHER, measurements_done, run_script

from benchmarks.lib.holm import holm
from benchmarks.suite.search_pays import DEFAULT, PREVIOUS
from mango_grader.synthetic import Series, write_synthetic

SHORT = (
    "method.epochs=1", "method.samples=2", "search.shortlist.epochs=1", "train.epochs=1", *SMALL_TEACHER,
)  # fmt: skip


def test_holm_multiplies_by_what_is_left_and_never_falls() -> None:
    assert holm([0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.03, 0.06])
    assert holm([0.5, 0.9]) == pytest.approx([1.0, 1.0])
    assert holm([]) == []


def test_the_default_search_is_paired_with_the_same_command_of_another_checkout(tmp_path: Path) -> None:
    write_synthetic(tmp_path / "mangoes", 30, Series(0, size=64))
    options = (
        *("--data", str(tmp_path / "mangoes"), "--group-by", "fruit_id", "--work", str(tmp_path / "work")),
        *("--folds", "3", "--until", "1", "--name", DEFAULT, "--name", PREVIOUS),
        *(part for setting in SHORT for part in ("--set", setting)),
    )
    out = tmp_path / "pays.json"
    found = run_script("search_pays", *options, "--previous", str(ROOT), out=out)
    rows = {row["name"]: row for row in found["summary"]}
    assert rows.keys() == {DEFAULT, PREVIOUS}
    assert rows[DEFAULT]["default_gains"] is None
    assert rows[PREVIOUS]["default_gains"]["n"] == 10
    assert rows[PREVIOUS]["default_gains"]["p_holm"] == rows[PREVIOUS]["default_gains"]["p"]

    again = run_script("search_pays", *options, "--previous", str(ROOT), "--resume", out=out)
    assert measurements_done(again) == measurements_done(found)


def test_a_budget_that_settings_would_replace_is_refused(tmp_path: Path) -> None:
    options = ("--budget", "100s", "--set", "train.epochs=1")
    with pytest.raises(AssertionError, match="--budget would be ignored beside --set"):
        run_script("search_pays", *options, out=tmp_path / "pays.json")
