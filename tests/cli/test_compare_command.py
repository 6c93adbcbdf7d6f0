"""`mango-grader compare`: what cannot work is said in one line before anything runs."""

from pathlib import Path

import pytest
from commands import call
from PIL import Image


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    for grade in ("A", "B"):
        (folder / grade).mkdir()
        Image.new("RGB", (16, 16)).save(folder / grade / "1.png")
    return folder


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--methods", "magic"], "--methods magic: choose from enas"),
        (["--methods", "enas/magic"], "the spaces are layerwise"),
        (["--methods", "enas,enas/layerwise"], "enas/layerwise twice"),
        (["--methods", ","], "name what to compare"),
        (["--methods", "enas", "--set", "method.magic=1"], "no such setting"),
        (["--methods", "enas", "--group-by", "fruit"], "fruit"),
        (["--methods", "enas", "--device", "tpu"], "choose auto, cpu"),
        (["--methods", "enas", "--seeds", "0"], "--seeds"),
        ([], "go together"),
    ],
)
def test_wrong_usage_is_one_line_and_leaves_nothing(
    options: list[str], says: str, photos: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    result = call("compare", "--data", photos, "--out", out, *options)
    assert result.exit_code == 2, result.output
    assert says in result.stderr
    assert not out.exists()


def test_there_is_nothing_to_continue(tmp_path: Path) -> None:
    result = call("compare", "--resume", "--out", tmp_path / "nothing")
    assert result.exit_code == 2
    assert "holds no comparison to continue" in result.stderr


def test_data_that_are_not_there(tmp_path: Path) -> None:
    result = call("compare", "--data", tmp_path / "nowhere", "--methods", "enas", "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert "nowhere" in result.stderr
