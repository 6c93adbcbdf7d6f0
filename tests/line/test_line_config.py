"""The configuration of a line: read, written, and refused in one line that says what to do."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tomlkit

from mango_grader.errors import UsageError
from mango_grader.line import Axes, Belt, Camera, Lane, LineConfig, read_config

SMALL: dict[str, Any] = {
    "camera": {"width": 640, "height": 480, "mm_per_px": 0.4},
    "belt": {"direction": "right", "decision_line": 500, "lanes": [{"low": 0, "high": 240}, {"low": 240, "high": 480}]},
    "finder": {"kind": "whole-frame"},
}


def test_what_is_written_is_read_as_the_same(tmp_path: Path) -> None:
    config = LineConfig.from_dict(SMALL)
    (tmp_path / "line.toml").write_text(tomlkit.dumps(config.to_dict()), encoding="utf-8")
    assert read_config(tmp_path / "line.toml") == config


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"camra": {}}, "no section is called camra; there are camera, belt,"),
        ({"camera": {"width": 640, "height": 480, "mm": 1.0}}, "camera: no setting is called mm; there are width,"),
        ({"camera": {"width": "640", "height": 480}}, "camera.width: Input should be a valid integer"),
        ({"camera": {"width": 640, "height": 480, "mm_per_px": 0.0}}, "mm_per_px must be above 0"),
        ({"belt": {"direction": "north", "decision_line": 9}}, "belt.direction: Input should be 'right'"),
        (
            {"belt": {"direction": "up", "decision_line": 9, "motion": "encoder"}},
            'motion = "encoder" needs px_per_tick',
        ),
        ({"belt": {"direction": "up", "decision_line": 9, "lanes": [{"low": 5, "high": 5}]}}, "a lane ends at 5"),
        ({"finder": {"kind": "magic"}}, "finder: no kind is called magic; there are "),
        ({"finder": {}}, "finder: its kind is missing; there are "),
        ({"sinks": {"kind": "x"}}, "sinks: write each as a table of its own"),
        ({"sinks": [{"kind": "x"}]}, "sinks[0]: no kind is called x"),
        ({"tracking": {"missing_for": -1.0}}, "missing_for must be above 0"),
    ],
)
def test_what_cannot_be_used_is_named_in_one_line(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    path = tmp_path / "line.toml"
    path.write_text(tomlkit.dumps({**SMALL, **change}), encoding="utf-8")
    with pytest.raises(UsageError, match=re.escape(said)) as caught:
        read_config(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["[camera", "\x00", "[camera]\nwidth = 1\nwidth = 2\n"])
def test_a_file_that_is_no_toml_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "line.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError):
        read_config(path)
    with pytest.raises(UsageError, match="no such file"):
        read_config(tmp_path / "other.toml")


@pytest.mark.parametrize("direction", ["right", "left", "down", "up"])
def test_a_place_on_the_belt_is_one_pixel(direction: Any) -> None:
    axes = Axes(Camera(640, 480), Belt(direction, decision_line=100, skew=0.1))
    rng = np.random.default_rng(1)
    x, y = rng.uniform(0, 640, 50), rng.uniform(0, 480, 50)
    along, across = axes.place(x, y)
    np.testing.assert_allclose(axes.pixel(along, across), (x, y), atol=1e-9)
    moved = {"right": (9, 0), "left": (-9, 0), "down": (0, 9), "up": (0, -9)}[direction]
    np.testing.assert_allclose(axes.place(x + moved[0], y + moved[1])[0], along + 9)


def test_a_lane_may_have_a_line_of_its_own() -> None:
    lanes = (Lane(0, 200), Lane(200, 480, decision_line=300))
    axes = Axes(Camera(640, 480), Belt("right", decision_line=500, lanes=lanes))
    assert [axes.lane(across) for across in (-1, 0, 199.9, 200, 480)] == [0, 1, 1, 2, 0]
    assert [axes.decision_line(lane) for lane in (0, 1, 2)] == [500, 500, 300]


@pytest.mark.parametrize("direction", ["right", "left", "down", "up"])
def test_a_place_across_a_skewed_belt_is_that_of_the_image_at_the_decision_line(direction: Any) -> None:
    """It was that of the image's edge: rows told of an egg some pixels beside where it crossed the line."""
    axes = Axes(Camera(640, 480), Belt(direction, decision_line=100, skew=0.1))
    x, y = axes.pixel(100.0, 70.0)
    assert float(y if direction in ("right", "left") else x) == 70.0
    straight = Axes(Camera(640, 480), Belt(direction, decision_line=100))
    assert float(straight.place(x, y)[1]) == 70.0
