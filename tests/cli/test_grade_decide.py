"""`grade --decide`: prices and prediction sets in rows, copies, sheet, table and summary."""

from pathlib import Path

import numpy as np
import pytest
from bundles import CLASSES, make_bundle, solid
from commands import call, read_csv
from PIL import Image

from mango_grader import Grader
from mango_grader.runtime import CalibrationData, Cost, Prices

PRICES = "true,green,yellow,red,review\ngreen,0,1,1,{look}\nyellow,1,0,1,{look}\nred,90,90,0,{look}\n"
"""What is not red is never worth the risk that it is."""


@pytest.fixture
def day(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three images, and a file of prices beside them, in day/ of the current folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "day").mkdir()
    for number, name in enumerate(CLASSES):
        Image.fromarray(solid(name)).save(tmp_path / "day" / f"{number}.png")
    price(0.3)
    return tmp_path / "day"


def price(look: float) -> None:
    Path("day/prices.csv").write_text(PRICES.format(look=look))


def test_prices_choose_the_answer_and_what_a_person_looks_at(day: Path, bundle: Path) -> None:
    arguments = ["grade", "day", "--model", bundle, "--policy", "exit:1", "--decide", "cost:day/prices.csv"]
    done = call(*arguments, "--out", "out.csv", "--sort-into", "sorted", "--contact-sheet", "sheet.html")
    assert done.exit_code == 0, done.output
    rows = read_csv(Path("out.csv"))
    assert [Path(row["path"]).name for row in rows] == ["0.png", "1.png", "2.png"], "the file of prices is no image"
    costs = [float(row["cost"]) for row in rows]
    reviews = [row["review"] for row in rows]
    for row, cost, review in zip(rows, costs, reviews, strict=True):
        p = [float(row[f"p_{name}"]) for name in CLASSES]
        answers = [p[1] + 90 * p[2], p[0] + 90 * p[2], p[0] + p[1]]
        assert row["grade"] == CLASSES[answers.index(min(answers))]
        assert row["confidence"] == row[f"p_{row['grade']}"]
        assert cost == pytest.approx(min(*answers, 0.3), abs=2e-4)
        assert review == str(min(answers) > 0.3).lower()
    assert set(reviews) == {"true", "false"}
    assert f"to review {reviews.count('true')}" in done.stderr
    assert f"expected cost {sum(costs) / 3:.4g} an image" in done.stderr
    assert len(list(Path("sorted/_review").glob("*.png"))) == reviews.count("true")
    assert Path("sheet.html").read_text().count(", exit 1, to review") == reviews.count("true")
    table = call(*arguments)
    assert table.stdout.count(" ?") == reviews.count("true")
    assert "expected cost" in table.stdout


def test_review_below_asks_in_addition(day: Path, bundle: Path) -> None:
    price(1000)
    arguments = ["grade", "day", "--model", bundle, "--decide", "cost:day/prices.csv"]
    for more, count in (([], 0), (["--review-below", "1"], 3)):
        out = Path(f"out{count}.csv")
        assert call(*arguments, *more, "--out", out).exit_code == 0
        assert [row["review"] for row in read_csv(out)].count("true") == count
    price(-1)  # A look that pays.
    assert call(*arguments, "--review-below", "0", "--out", "all.csv").exit_code == 0
    assert {row["review"] for row in read_csv(Path("all.csv"))} == {"true"}


def test_prediction_sets_are_in_the_rows_and_send_images_to_a_person(day: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 80, np.int32)
    doubtful = rng.normal(scale=0.7, size=(2, 80, 3)).astype(np.float32)
    kept = CalibrationData(doubtful, np.arange(80, dtype=np.int32) // 2, labels)
    (day / "prices.csv").unlink()
    model = make_bundle(tmp_path / "kept.mango", calibration=kept)
    arguments = ["grade", "day", "--model", model, "--policy", "exit:1"]
    assert call(*arguments, "--decide", "conformal:alpha=0.05", "--out", "out.csv").exit_code == 0
    rows = read_csv(Path("out.csv"))
    found = [row["set"].split("|") for row in rows]
    assert all(row["grade"] in names and set(names) <= set(CLASSES) for row, names in zip(rows, found, strict=True))
    assert [row["review"] for row in rows] == [str(len(names) > 1).lower() for names in found]
    assert max(map(len, found)) > 1
    refused = call(*arguments, "--decide", "conformal:alpha=0.01")
    assert refused.exit_code == 2
    assert "needs 99 calibration fruit; this model has 40 fruit" in refused.stderr
    for text in ("conformal:alpha=0.1", "argmax"):
        done = call(*arguments, "--decide", text, "--out", "out.csv", "--resume")
        assert done.exit_code == 2
        assert "made with another decide" in done.stderr


def test_a_job_with_other_prices_is_not_resumed(day: Path, bundle: Path) -> None:
    arguments = ["grade", "day", "--model", bundle, "--out", "out.csv"]
    priced = [*arguments, "--decide", "cost:day/prices.csv", "--resume"]
    assert call(*priced).exit_code == 0
    assert call(*priced).exit_code == 0
    for change, again in ((0.3, arguments), (0.05, priced)):
        price(change)
        done = call(*again, *([] if "--resume" in again else ["--resume"]))
        assert done.exit_code == 2
        assert "made with another decide; choose another --out" in done.stderr
    price(0.3)
    assert call(*priced).exit_code == 0, "the numbers count, not the file"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("best", "decision rule 'best' is unknown; use argmax, cost"),
        ("cost", "the model keeps no prices"),
        ("cost:none.csv", "none.csv: no such file"),
        ("cost:ordinal", "not in order"),
    ],
)
def test_rules_that_cannot_be_used_are_refused_in_one_line(day: Path, bundle: Path, text: str, message: str) -> None:
    done = call("grade", "day", "--model", bundle, "--decide", text)
    assert done.exit_code == 2
    assert message in done.stderr
    assert done.stderr.startswith("Error: ")
    assert done.stderr.count("\n") == 1


def test_a_program_asks_for_a_rule_by_its_text(day: Path, tmp_path: Path) -> None:
    stored = Prices(((0, 1, 1), (1, 0, 1), (9, 9, 0)), (0.1, 0.1, 0.1))
    path = make_bundle(tmp_path / "priced.mango", prices=stored, default_decide="cost")
    assert Grader.load(path).rule == Cost(stored)
    grader = Grader.load(path, decide="cost:day/prices.csv")
    record = grader.grade(day / "2.png")
    assert (record.grade, record.labels) == ("red", None)
    assert record.cost is not None
    assert record.cost <= 0.04
    assert Grader.load(path, decide="argmax").grade(day / "2.png").cost is None
