"""`calibrate` with prices says what they would have cost on the graded fruit, beside the most probable class."""

import json
from pathlib import Path

import numpy as np
import pytest
from bundles import COLOURS, make_bundle
from commands import call, read_csv
from PIL import Image

from mango_grader.runtime import CalibrationData

PRICES = np.array([[0, 5, 9], [1, 0, 5], [1, 1, 0]], float)
LOOK = 0.3


@pytest.fixture
def prices(tmp_path: Path) -> Path:
    path = tmp_path / "prices.csv"
    rows = [f"{name},{','.join(map(str, row))},{LOOK}" for name, row in zip(COLOURS, PRICES.tolist(), strict=True)]
    path.write_text("\n".join(["true,green,yellow,red,review", *rows]) + "\n")
    return path


def test_the_realised_cost_is_that_of_the_rows(prices: Path, bundle: Path, tmp_path: Path) -> None:
    rng, names = np.random.default_rng(1), tuple(COLOURS)
    for number in range(45):
        true = number % 3
        share = rng.uniform(0, 0.7)
        colour = (1 - share) * np.array(COLOURS[names[true]]) + share * np.array(COLOURS[names[(true + 1) % 3]])
        path = tmp_path / "line" / names[true] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((24, 32, 3), colour, np.uint8)).save(path)
    line, out = tmp_path / "line", tmp_path / "new.mango"
    defaults = ("--default-policy", "exit:1", "--default-decide", f"cost:{prices}")
    done = call("calibrate", bundle, "--data", line, *defaults, "--out", out, "--json")
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)["realised_cost"]
    assert call("grade", line, "--recursive", "--model", out, "--out", tmp_path / "rows.csv").exit_code == 0
    decided, argmax, looks = [], [], []
    for row in read_csv(tmp_path / "rows.csv"):
        true = names.index(Path(row["path"]).parent.name)
        looks.append(row["review"] == "true")
        decided.append(LOOK if looks[-1] else PRICES[true, names.index(row["grade"])])
        argmax.append(PRICES[true, np.argmax([float(row[f"p_{name}"]) for name in names])])
    assert told == pytest.approx({"decided": np.mean(decided), "argmax": np.mean(argmax), "review": np.mean(looks)})
    assert told["decided"] < told["argmax"]
    assert 0 < told["review"] < 1


@pytest.mark.parametrize(("graded", "priced"), [(True, True), (True, False), (False, True)])
def test_without_grades_or_prices_nothing_is_said(prices: Path, tmp_path: Path, graded: bool, priced: bool) -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 30, np.int32) if graded else None
    kept = CalibrationData(rng.normal(size=(2, 30, 3)).astype(np.float32), np.arange(30, dtype=np.int32), labels)
    model, out = make_bundle(tmp_path / "kept.mango", calibration=kept), tmp_path / "new.mango"
    done = call("calibrate", model, "--default-decide", f"cost:{prices}" if priced else "argmax", "--out", out)
    assert done.exit_code == 0, done.output
    assert ("realised cost" in done.stdout) == (graded and priced)
