"""`conveyor run --clip` and `--metrics-port`: a video beside the tables, and a server only where it is asked for."""

from pathlib import Path

import cv2
import pytest
from brokers import free_port
from bundles import make_bundle
from commands import call
from drawn_line import write_config, write_frames
from kill_line import FRUIT


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with belt/, model.mango and line.toml; nothing is written to it."""
    home = tmp_path_factory.mktemp("home")
    write_frames(home / "belt", FRUIT)
    make_bundle(home / "model.mango")
    write_config(home / "line.toml")
    return home


def arguments(home: Path, out: Path, *more: str | Path) -> list[str | Path]:
    model = ("--model", home / "model.mango", "--config", home / "line.toml")
    return ["conveyor", "run", home / "belt", *model, "--out", out, "--progress", "plain", *more]


def test_a_clip_is_written_beside_the_table_and_never_over_a_file(home: Path, tmp_path: Path) -> None:
    clip = tmp_path / "belt.webm"
    done = call(*arguments(home, tmp_path / "fruit.csv", "--clip", clip))
    assert done.exit_code == 0, done.output
    written = cv2.VideoCapture(str(clip))
    count = int(written.get(cv2.CAP_PROP_FRAME_COUNT))
    written.release()
    assert count == len([*(home / "belt").iterdir()])
    assert f"{count} frames → {clip}" in done.output
    before = clip.read_bytes()
    again = call(*arguments(home, tmp_path / "more.csv", "--clip", clip))
    assert (again.exit_code, again.output) == (2, f"Error: --clip: {clip} exists; choose another name\n")
    assert clip.read_bytes() == before
    wrong = call(*arguments(home, tmp_path / "more.csv", "--clip", tmp_path / "belt.mov"))
    assert (wrong.exit_code, "a clip is written as .mp4, .webm, .avi" in wrong.output) == (2, True)
    assert not (tmp_path / "more.csv.log").exists()


def test_fruit_are_counted_for_prometheus_at_a_port(home: Path, tmp_path: Path) -> None:
    done = call(*arguments(home, tmp_path / "fruit.csv", "--metrics-port", str(free_port())))
    assert (done.exit_code, f"metrics-port: {FRUIT} delivered, 0 waiting" in done.output) == (0, True)
    assert call(*arguments(home, tmp_path / "more.csv", "--metrics-port", "0")).exit_code == 2
