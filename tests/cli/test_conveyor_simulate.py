"""`conveyor simulate` and `conveyor crops`, typed as a user types them."""

import json
from pathlib import Path

import pytest
from commands import call

QUICK = ("--fruit", "4", "--seed", "2", "--settings", "small.toml", "--progress", "none")


@pytest.fixture(autouse=True)
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = "width = 320\nheight = 240\nlength_px = 56\nempty_seconds = 0.4\nroll_steps = 4\n"
    Path("small.toml").write_text(text, encoding="utf-8")


def test_a_belt_is_simulated_and_its_crops_are_cut_with_their_grades() -> None:
    made = call("conveyor", "simulate", "--out", "belt", *QUICK)
    assert made.exit_code == 0, made.output
    assert "4 fruit: " in made.output
    again = json.loads(call("conveyor", "simulate", "--out", "belt", *QUICK, "--json").stdout)
    assert again["new"] == 0
    assert again["frames"] == len(list(Path("belt").glob("*.jpg")))
    cut = call(
        *("conveyor", "crops", "belt", "--config", "belt/line.toml", "--labels", "belt/truth.csv", "--out", "crops"),
        *("--json", "--progress", "none"),
    )
    assert cut.exit_code == 0, cut.output
    written = json.loads(cut.stdout)
    assert written["fruit"] == 4
    assert written["labels"] == again["grades"]
    crops = ("conveyor", "crops", "belt", "--config", "belt/line.toml")
    plain = call(*crops, "--out", "plain", "--views", "2", "--progress", "none")
    assert "ungraded 4" in plain.output


def test_a_video_is_written_without_what_it_cannot_tell() -> None:
    made = call("conveyor", "simulate", "--out", "belt.avi", "--preset", "stops", *QUICK)
    assert made.exit_code == 0, made.output
    assert Path("belt.avi").stat().st_size > 10_000
    refused = call("conveyor", "simulate", "--out", "other.avi", "--dropped", "0.1", *QUICK)
    assert refused.exit_code == 2
    assert "--dropped" in refused.output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("simulate", "--out", "x", "--preset", "soft"), "there are gentle, standard"),
        (("simulate", "--out", "x", "--lanes", "40"), "lanes must be in 1..16"),
        (("simulate", "--out", ".", *QUICK), "holds no simulated belt"),
        (("crops", "nowhere", "--config", "small.toml", "--out", "x"), "nowhere"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(arguments: tuple[str, ...], said: str) -> None:
    result = call("conveyor", *arguments)
    assert result.exit_code == 2
    assert said in result.output
    assert len(result.output.strip().splitlines()) == 1
