"""A regression on features that a script of the peers' environment makes."""

import sys
from pathlib import Path

import pytest
from scripts import run_script

from benchmarks.lib.measurements import RESULTS, MeasurementFailedError
from benchmarks.suite import frozen_features
from mango_grader.synthetic import Series, write_synthetic

# Sees the mean colour of an image: enough to tell some synthetic fruit apart.
SCRIPT = """
import sys
import numpy as np
assert sys.argv[3] == "--network=0", sys.argv
np.save(sys.argv[2], np.load(sys.argv[1]).mean((1, 2), dtype=np.float32))
"""


def test_every_image_is_tested_once_and_validation_images_are_learned_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frozen_features, "SCRIPTS", tmp_path)
    write_synthetic(tmp_path / "mangoes", 60, Series(0, size=64))
    scale = frozen_features.Scale(str(tmp_path / "mangoes"), "fruit_id", folds=3, split_seed=0)
    script, python, work = tmp_path / "frozen_features.py", Path(sys.executable), tmp_path / "work"
    script.write_text(SCRIPT)
    found = frozen_features.measure(frozen_features.USUAL, scale, python, work)
    assert {len(marks) for marks in found["correct"].values()} == {len(found["images"])} == {60}
    assert found["correct"]["train"] != found["correct"]["train and validation"]
    assert sum(found["mistakes"].values()) == found["correct"]["train"].count("0")

    all_correct = {**found, "correct": dict.fromkeys(found["correct"], "1" * len(found["images"]))}
    search = dict.fromkeys(found["images"], True)
    usual, another = frozen_features.summary(search, {"all at 128": all_correct, frozen_features.USUAL: found})
    assert usual["accuracy"]["low"] < usual["accuracy"]["value"] < usual["accuracy"]["high"]
    assert usual["gain_on_usual"]["value"] == another["gain_of_validation"]["value"] == 0
    assert another["gain_on_usual"]["value"] == pytest.approx(1 - usual["accuracy"]["value"])
    assert usual["default_gains"]["value"] == another["gain_on_usual"]["value"]
    assert another["default_gains"]["value"] == 0

    script.write_text("raise SystemExit('no such network')")
    with pytest.raises(MeasurementFailedError, match="no such network"):
        frozen_features.measure(frozen_features.USUAL, scale, python, work)


def test_a_search_on_other_folds_is_not_compared_with() -> None:
    kept, setup = RESULTS / "search_pays.json", {"data": "../shared/data/mango_lesions", "folds": 5, "split_seed": 0}
    assert len(frozen_features.searched_answers(kept, setup)) == 676
    assert not frozen_features.searched_answers(kept, {**setup, "split_seed": 1})


def test_without_the_environment_it_says_what_is_missing(tmp_path: Path) -> None:
    write_synthetic(tmp_path / "mangoes", 30, Series(0, size=64))
    place = ("--data", str(tmp_path / "mangoes"), "--group-by", "fruit_id", "--folds", "3", "--work", str(tmp_path))
    options = ("--name", "lite0 at 128", "--python", sys.executable, "--jobs", "1")
    found = run_script("frozen_features", *place, *options, out=tmp_path / "found.json")
    assert "No module named 'efficientnet_lite_pytorch'" in found["failed"]["lite0 at 128"]
    assert found["summary"] == []
