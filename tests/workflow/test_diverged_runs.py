"""A run that diverges ends with exit code 1 and one line, ships nothing, and says the same when it is resumed."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from tiny import TINY

from mango_grader.cli import main
from mango_grader.files import read_json, to_json, write_json


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def strict(text: str) -> object:
    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is no JSON")

    return json.loads(text, parse_constant=refuse)


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("train.weights.lr=1e9", "a lower train.weights.lr (it is 1e+09)"),
        ("method.weights.lr=1e9", "a lower method.weights.lr (it is 1e+09)"),
    ],
)
def test_a_loss_that_is_not_finite_ships_no_model(setting: str, says: str, fruit: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    settings = [part for each in (*TINY, "checkpoint_every=0", setting) for part in ("--set", each)]
    told = []
    start = ["--data", fruit, "--size", 24, "--method", "enas", "--teacher", "none", "--device", "cpu", *settings]
    for options in (start, ["--resume"]):
        result = run("search", "--out", out, "--progress", "none", *options)
        assert result.exit_code == 1, result.output
        told.append(result.stderr.splitlines()[-1])
        assert says in told[-1]
        assert "Traceback" not in result.output
        assert not list(out.rglob("*.mango"))
        assert not (out / "weights.safetensors").exists()
        for path in out.rglob("*.json*"):
            for line in path.read_text().splitlines() if path.suffix == ".jsonl" else [path.read_text()]:
                strict(line)
    assert told[0] == told[1]


def test_no_number_that_json_has_not_is_ever_written(tmp_path: Path) -> None:
    figures = {"accuracy": float("nan"), "rows": [(1.5, float("inf")), {"low": -float("inf")}], "name": "NaN"}
    write_json(tmp_path / "figures.json", figures)
    expected = {"accuracy": None, "rows": [[1.5, None], {"low": None}], "name": "NaN"}
    assert strict((tmp_path / "figures.json").read_text()) == expected
    assert read_json(tmp_path / "figures.json") == expected
    assert strict(to_json(figures)) == expected
