"""`mango-grader conveyor calibrate` on a folder of frames of a belt with rods."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from commands import call

from mango_grader.line import read_config


@pytest.fixture(scope="module")
def belt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """30 empty frames, then fruit that move 8 pixels to the right from frame to frame, 10 frames a second."""
    folder = tmp_path_factory.mktemp("belt")
    columns = np.arange(240)
    for number in range(90):
        row = np.where((columns - 8 * number) % 30 < 12, 60, 150)
        image = np.repeat(np.repeat(row[None], 120, 0)[..., None], 3, axis=2).astype(np.uint8)
        if number >= 30:
            for across in (30, 90):
                cv2.circle(image, ((8 * number + 5 * across) % 400 - 60, across), 16, (30, 150, 220), -1)
        cv2.imwrite(str(folder / f"{number:03}.png"), image)
    return folder


def test_it_writes_a_configuration_and_a_page(belt: Path, tmp_path: Path) -> None:
    out = tmp_path / "line.toml"
    asked = ("conveyor", "calibrate", belt, "--fps", "10", "--out", out, "--empty", "0:30", "--ruler", "10px:8mm")
    done = call(*asked, "--json")
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    config = read_config(out)
    assert told["config"] == config.to_dict()
    assert config.belt.direction == "right"
    assert config.belt.speed == pytest.approx(80, rel=0.03)
    assert [round(lane.high, -1) for lane in config.belt.lanes] == [60, 120]
    assert config.camera.mm_per_px == 0.8
    assert "data:image/jpeg" in out.with_suffix(".html").read_text(encoding="utf-8")

    again = call(*asked)
    assert again.exit_code == 0
    assert "belt.speed" in again.stdout
    out.write_text(out.read_text(encoding="utf-8") + "# by the window\n", encoding="utf-8")
    refused = call(*asked)
    assert refused.exit_code == 2
    assert "was edited since it was written" in refused.stderr
    assert call(*asked, "--force").exit_code == 0


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--empty", "70:0"), "--empty 70:0: write the first frame"),
        (("--empty", "500:600"), "has no frame 500"),
        (("--mm-per-px", "0"), "--mm-per-px must be above 0"),
        (("--mm-per-px", "1", "--pitch-mm", "2"), "give one of them"),
        (("--ruler", "12"), "--ruler 12: write two points"),
        (("--checkerboard", "9x6:25mm"), "shows a board of 9×6 corners"),
        (("--motion", "encoder"), "the frames carry no ticks"),
        (("--entry-line", "200", "--decision-line", "100"), "entry_line lies beyond decision_line"),
    ],
)
def test_what_cannot_be_used_is_one_line(belt: Path, tmp_path: Path, options: tuple[str, ...], says: str) -> None:
    empty = () if "--empty" in options else ("--empty", "0:30")
    done = call("conveyor", "calibrate", belt, "--fps", "10", "--out", tmp_path / "line.toml", *empty, *options)
    assert done.exit_code == 2
    assert says in done.stderr
    assert not list(tmp_path.iterdir())
