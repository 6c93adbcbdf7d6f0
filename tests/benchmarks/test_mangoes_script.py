"""The searched network against a baseline on a few synthetic mangoes."""

from pathlib import Path

import pytest
from scripts import run_script

from mango_grader.synthetic import Series, write_synthetic

TINY = (
    "train.batch_size=8", "train.epochs=1", "method.epochs=1",
    "method.samples=1", "data.height=32", "data.width=32", "space.height=32", "space.width=32",
)  # fmt: skip


def test_every_image_is_tested_once_by_both(tmp_path: Path) -> None:
    count = 30
    write_synthetic(tmp_path / "mangoes", count, Series(0, size=64))
    place = ("--data", str(tmp_path / "mangoes"), "--group-by", "fruit_id", "--work", str(tmp_path / "work"))
    settings = [part for setting in TINY for part in ("--set", setting)]
    options = (*place, "--folds", "2", "--max-params", "1000000", "--jobs", "2", *settings)
    found = run_script("mangoes", *options, out=tmp_path / "mangoes.json")
    assert (found["folds_done"], found["images"], found["groups"]) == (2, count, count)
    gap = found["searched"]["exits"]["pooled_accuracy"][-1] - found["baseline"]["exits"]["pooled_accuracy"][-1]
    assert found["difference"]["value"] == pytest.approx(gap)
    assert found["difference"]["low"] <= gap <= found["difference"]["high"]
    assert max(found["searched"]["params"]) <= 1_000_000
