"""A calibration finds what the simulated belt was made with; its file is read, and never lost."""

import tomllib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from mango_grader.errors import UsageError
from mango_grader.line import Frame, GivenFrames, LineConfig, read_config
from mango_grader.line.calibration.calibrate import Calibration, Finding, Request, calibrate
from mango_grader.line.calibration.footage import Footage, gather
from mango_grader.line.calibration.layout import lay_lanes, lay_lines
from mango_grader.line.calibration.motion import Velocity, fruit_motion, texture_motion
from mango_grader.line.calibration.page import render_page
from mango_grader.line.calibration.scale import Checkerboard, Given, Pitch, Ruler
from mango_grader.line.calibration.writing import check_out, config_text, write_config
from mango_grader.line.simulator import SimulatedBelt, SimulatorSettings
from mango_grader.progress import SilentProgress

SMALL = SimulatorSettings(
    fruit=10, seed=3, width=320, height=240, length_px=50, speed=220.0, fps=20.0, empty_seconds=1.5, touching=0.0
)


def footage_of(settings: SimulatorSettings) -> Footage:
    return gather(SimulatedBelt(settings), 200, [range(20)], SilentProgress())


@pytest.fixture(scope="module")
def footage() -> Footage:
    return footage_of(SMALL)


@pytest.fixture(scope="module")
def calibration(footage: Footage) -> Calibration:
    return calibrate(footage, Request(measure=Given(1.1)), SilentProgress())


def test_the_values_of_a_simulated_belt_are_found(calibration: Calibration) -> None:
    belt = calibration.config.belt
    assert belt.direction == "right"
    assert belt.speed == pytest.approx(SMALL.speed, rel=0.03)
    assert belt.motion == "encoder"
    assert belt.px_per_tick == pytest.approx(1 / SMALL.ticks_per_px, rel=0.03)
    assert len(belt.lanes) == SMALL.lanes
    assert belt.lanes[0].high == pytest.approx(120, abs=25)
    assert 20 <= belt.entry_line <= 50
    assert 320 / 2 <= belt.decision_line <= 320 - 50 / 2
    assert calibration.config.camera.mm_per_px == 1.1


def striped(position: float, fruit: float | None = None) -> NDArray[np.uint8]:
    """A belt with a rod every 24 pixels, a lamp above it that does not move, and perhaps a fruit."""
    columns = np.arange(320)
    row = np.where((columns - position) % 24 < 10, 60.0, 150.0) + 30 * np.exp(-(((columns - 100) / 40) ** 2))
    image = np.repeat(np.repeat(row[None], 200, 0)[..., None], 3, axis=2).astype(np.uint8)
    if fruit is not None:
        cv2.circle(image, (round(fruit), 100), 22, (220, 150, 30), -1)
    return image


def rods(step: float, count: int, with_fruit: Callable[[int], float | None]) -> Footage:
    frames = [Frame(n, n / 10, striped(step * n, with_fruit(n))) for n in range(count)]
    return gather(GivenFrames(frames), count, [range(20)], SilentProgress())


TURNED: dict[str, Callable[[NDArray[np.uint8]], NDArray[np.uint8]]] = {
    "left": lambda image: image[:, ::-1],
    "down": lambda image: image.transpose(1, 0, 2),
    "up": lambda image: image.transpose(1, 0, 2)[::-1],
}


@pytest.mark.parametrize("direction", list(TURNED))
def test_the_direction_is_seen(direction: str) -> None:
    images = [striped(7.0 * n, None if n < 20 else (7.0 * n) % 420 - 50) for n in range(120)]
    frames = [Frame(n, n / 20, np.ascontiguousarray(TURNED[direction](image))) for n, image in enumerate(images)]
    found = calibrate(gather(GivenFrames(frames), 120, [range(20)], SilentProgress()), Request(), SilentProgress())
    assert found.config.belt.direction == direction
    assert found.config.belt.motion == "estimated"
    assert found.config.belt.speed == pytest.approx(140.0, rel=0.03)


def test_fruit_tell_which_period_of_the_belt_is_right() -> None:
    """The belt moves by 29 pixels from frame to frame, but its rods look as if it moved by 5."""
    empty = calibrate(rods(29.0, 60, lambda n: None), Request(), SilentProgress())
    (told,) = (one for one in empty.findings if one.name == "belt.speed")
    assert empty.config.belt.speed == pytest.approx(50, rel=0.05)
    assert "no fruit" in told.how
    assert told.sure is not None
    assert told.sure < 0.75
    moving = rods(29.0, 140, lambda n: None if n < 20 else (29.0 * n) % 640 - 100)
    assert calibrate(moving, Request(), SilentProgress()).config.belt.speed == pytest.approx(290, rel=0.03)


def test_fruit_tell_the_speed_where_the_belt_shows_none() -> None:
    """A table of rollers that turn where they are: only fruit move."""
    still = [Frame(n, n / 10, striped(0.0, None if n < 20 else (12.0 * n) % 420 - 50)) for n in range(160)]
    found = calibrate(gather(GivenFrames(still), 160, [range(20)], SilentProgress()), Request(), SilentProgress())
    assert found.config.belt.direction == "right"
    assert found.config.belt.speed == pytest.approx(120, rel=0.05)


def test_a_belt_at_rest_asks_for_its_direction() -> None:
    resting = rods(0.0, 30, lambda n: None)
    assert texture_motion(resting) is None
    assert fruit_motion([], None) is None
    with pytest.raises(UsageError, match="give --direction and --speed"):
        calibrate(resting, Request(), SilentProgress())
    belt = calibrate(resting, Request(direction="up", speed=80.0, motion="speed"), SilentProgress()).config.belt
    assert (belt.direction, belt.speed, belt.motion) == ("up", 80.0, "speed")
    with pytest.raises(UsageError, match="carry no ticks"):
        calibrate(resting, Request(direction="up", speed=80.0, motion="encoder"), SilentProgress())


def test_the_pitch_of_the_belt_is_a_scale() -> None:
    found = calibrate(rods(5.0, 60, lambda n: None), Request(measure=Pitch(12.0)), SilentProgress())
    assert found.config.camera.mm_per_px == pytest.approx(0.5, rel=0.02)
    with pytest.raises(UsageError, match="does not repeat"):
        Pitch(12.0).scale([], None)


@pytest.mark.parametrize(
    ("text", "mm_per_px"), [("0,0,300,400:250mm", 0.5), ("512 px : 128 mm", 0.25), ("10.5,0,20.5,0:5mm", 0.5)]
)
def test_a_ruler_is_a_scale(text: str, mm_per_px: float) -> None:
    assert Ruler.parse(text).scale([], None).mm_per_px == pytest.approx(mm_per_px)


@pytest.mark.parametrize("text", ["", "5", "1,2,3:4mm", "1,2,1,2:30mm", "0px:3mm", "5px:3cm"])
def test_no_ruler_says_how_to_write_one(text: str) -> None:
    with pytest.raises(UsageError, match="--ruler"):
        Ruler.parse(text)


def board(columns: int, rows: int, side: int, tilt: float) -> NDArray[np.uint8]:
    squares = (np.add.outer(np.arange(rows + 1), np.arange(columns + 1)) % 2 * 255).astype(np.uint8)
    image = cv2.resize(squares, None, fx=side, fy=side, interpolation=cv2.INTER_NEAREST)
    image = cv2.copyMakeBorder(image, 60, 60, 60, 60, cv2.BORDER_CONSTANT, value=255)
    size = image.shape[1], image.shape[0]
    turned = cv2.warpAffine(image, cv2.getRotationMatrix2D((size[0] / 2, size[1] / 2), tilt, 1), size, borderValue=255)
    return np.repeat(turned[..., None], 3, axis=2)


def test_a_checkerboard_is_a_scale() -> None:
    chess = Checkerboard.parse("7x5:25mm")
    found = chess.scale([board(7, 5, 40, tilt) for tilt in (0, 7, -11)], None)
    assert found.mm_per_px == pytest.approx(25 / 40, rel=0.01)
    assert found.matrix == ()
    with pytest.raises(UsageError, match="none of 1 frames"):
        chess.scale([np.full((200, 300, 3), 90, np.uint8)], None)
    for text in ("7x5", "1x5:20mm", "7x5:0mm"):
        with pytest.raises(UsageError, match="--checkerboard"):
            Checkerboard.parse(text)


def test_lanes_part_where_fruit_do() -> None:
    across = [50, 52, 48, 51, 149, 150, 152, 148, 251, 250, 249, 252]
    assert [lane.high for lane in lay_lanes(3, 300, across, 40)] == pytest.approx([100, 200, 300], abs=2)
    assert [lane.high for lane in lay_lanes(None, 300, across, 40)] == pytest.approx([100, 200, 300], abs=2)
    assert lay_lanes(None, 300, across, 110) == ()
    assert [lane.high for lane in lay_lanes(4, 300, (), 40)] == [75, 150, 225, 300]


def test_fruit_are_whole_before_the_decision_line() -> None:
    entry, decision = lay_lines(1000, 100, 20)
    assert 50 <= entry <= 60
    assert 700 <= decision <= 1000 - 50 - 20
    assert lay_lines(1000, None, 20)[0] < lay_lines(1000, None, 20)[1]


def test_the_file_says_how_each_value_is_known(calibration: Calibration, tmp_path: Path) -> None:
    path = tmp_path / "line.toml"
    write_config(path, calibration)
    assert read_config(path) == calibration.config
    text = path.read_text(encoding="utf-8")
    assert "speed = " in text
    assert "fruit lie where it says" in text
    write_config(path, calibration)
    check_out(path, force=False)


def test_a_file_that_was_edited_is_kept(calibration: Calibration, tmp_path: Path) -> None:
    path = tmp_path / "line.toml"
    write_config(path, calibration)
    path.write_text(path.read_text(encoding="utf-8").replace("speed = ", "speed = 1", 1), encoding="utf-8")
    with pytest.raises(UsageError, match="was edited"):
        check_out(path, force=False)
    check_out(path, force=True)
    path.write_text("[camera]\n", encoding="utf-8")
    with pytest.raises(UsageError, match="did not write it"):
        check_out(path, force=False)
    with pytest.raises(UsageError, match=r"\.toml"):
        check_out(tmp_path / "line.yaml", force=True)


def test_a_configuration_with_every_part_is_written_as_it_is(calibration: Calibration) -> None:
    config = calibration.config
    belt = replace(config.belt, roi=((0.0, 0.0), (320.0, 0.0), (320.0, 240.0)))
    camera = replace(config.camera, matrix=(1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0), distortion=(0.1, 0.0))
    full = Calibration(replace(config, belt=belt, camera=camera), (Finding("belt.roi", "x", "a\nb", None),))
    assert LineConfig.from_dict(tomllib.loads(config_text(full))) == full.config


def test_the_page_shows_ten_frames_and_needs_no_other_file(calibration: Calibration, footage: Footage) -> None:
    page = render_page(calibration, footage, "<belt>.mp4")
    assert page.count("data:image/jpeg;base64,") == 10
    assert "&lt;belt&gt;.mp4" in page
    assert "belt.decision_line" in page
    assert "http" not in page


def test_velocities_name_directions_of_the_image() -> None:
    found = [Velocity(3, 1), Velocity(-3, 1), Velocity(1, 4), Velocity(-1, -4)]
    assert [one.direction for one in found] == ["right", "left", "down", "up"]
    assert [round(one.skew, 2) for one in found] == [0.33, 0.33, 0.25, -0.25]


def test_a_lens_that_a_checkerboard_shows_is_taken_out() -> None:
    """Six views of a board, bent as a wide lens bends them; then what is measured is measured on straight frames."""
    matrix, distortion = np.array([[700.0, 0, 320], [0, 700, 240], [0, 0, 1]]), np.array([-0.3, 0.05, 0, 0, 0])
    corners = np.array([[-4, -3, 0], [4, -3, 0], [4, 3, 0], [-4, 3, 0]], np.float32) * 25
    flat = board(7, 5, 40, 0)
    edges = np.array([[60, 60], [380, 60], [380, 300], [60, 300]], np.float32)
    rows, columns = np.mgrid[:480, :640].astype(np.float32)
    points = np.stack([columns.ravel(), rows.ravel()], axis=1)[:, None]
    straight = cv2.undistortPoints(points, matrix, distortion, P=matrix).reshape(480, 640, 2)
    frames = []
    for number in range(18):
        turned = np.array([0.25 * np.sin(number), 0.3 * np.cos(2 * number), 0.2 * np.sin(3 * number)])
        seen, _ = cv2.projectPoints(corners, turned, np.array([5.0 * (number % 5) - 10, 0.0, 420.0]), matrix, None)
        ideal = cv2.warpPerspective(
            flat, cv2.getPerspectiveTransform(edges, seen.reshape(4, 2).astype(np.float32)), (640, 480),
            borderValue=(255, 255, 255),
        )  # fmt: skip
        bent = cv2.remap(ideal, straight[..., 0], straight[..., 1], cv2.INTER_LINEAR, borderValue=(255, 255, 255))
        frames.append(Frame(number, number / 10, np.asarray(bent, np.uint8)))
    footage = gather(GivenFrames(frames), 18, [range(2)], SilentProgress())
    request = Request(measure=Checkerboard(7, 5, 25.0), direction="right", speed=100.0)
    camera = calibrate(footage, request, SilentProgress()).config.camera
    assert camera.matrix[0] == pytest.approx(700, rel=0.03)
    bend = [1 + k[0] * 0.25**2 + k[1] * 0.25**4 for k in (camera.distortion, distortion)]  # 175 pixels from the middle
    assert bend[0] == pytest.approx(bend[1], abs=0.004)
