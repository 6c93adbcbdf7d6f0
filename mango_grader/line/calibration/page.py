"""The page beside a configuration: what was found in ten frames, lanes, lines, and how sure each value is."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files

import cv2
import jinja2
import numpy as np
from numpy.typing import NDArray

from mango_grader.line.belt import Axes
from mango_grader.line.calibration.calibrate import Calibration
from mango_grader.line.calibration.footage import Footage
from mango_grader.line.calibration.writing import in_words
from mango_grader.line.frame import Frame
from mango_grader.line.observations import Blob
from mango_grader.runtime.grading.outputs import PAGE_MARK
from mango_grader.text import counted

_FRAMES = 10
_SIDE = 720  # longer side of the images on the page, in pixels
_Colour = tuple[int, int, int]
_FRUIT, _PARTIAL, _LANE = (229, 57, 53), (255, 152, 0), (33, 150, 243)
_ENTRY, _DECISION, _ARROW = (67, 160, 71), (233, 30, 99), (255, 235, 59)
_KEY: tuple[tuple[str, _Colour], ...] = (
    ("fruit", _FRUIT), ("partly in view", _PARTIAL), ("lanes", _LANE), ("entry line", _ENTRY),
    ("decision line", _DECISION), ("direction, and the way of half a second", _ARROW),
)  # fmt: skip


@dataclass(frozen=True)
class _Shown:
    index: int
    time: str
    blobs: str
    data: str


def render_page(calibration: Calibration, footage: Footage, name: str) -> str:
    """Return the page as HTML that needs no other file.

    Args:
        calibration: what to show.
        footage: that it was made of.
        name: of the source.
    """
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    template = (files("mango_grader.line.calibration") / "page.html").read_text(encoding="utf-8")
    return environment.from_string(template).render(
        mark=PAGE_MARK,
        name=name,
        frames=len(footage.times),
        width=footage.width,
        height=footage.height,
        seconds=f"{footage.times[-1] - footage.times[0]:.1f} seconds",
        findings=calibration.findings,
        sure=lambda finding: in_words(finding.sure),
        key=[(words, "rgb({}, {}, {})".format(*colour)) for words, colour in _KEY],
        images=_images(calibration, footage),
    )


def _images(calibration: Calibration, footage: Footage) -> list[_Shown]:
    config = calibration.config
    finder = config.finder.build(config.axes)
    frames = [frame for run in footage.runs for frame in run[:1] if frame.image is not None]
    found = [(frame, finder.find(frame.image)) for frame in frames if frame.image is not None]
    # Frames with much fruit show more than empty ones.
    busiest = sorted(sorted(range(len(found)), key=lambda n: -len(found[n][1]))[:_FRAMES])
    return [_shown(config.axes, *found[n]) for n in busiest]


def _shown(axes: Axes, frame: Frame, blobs: Sequence[Blob]) -> _Shown:
    assert frame.image is not None
    image = draw(frame.image, axes, blobs)
    factor = min(1.0, _SIDE / max(image.shape[:2]))
    small = cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    done, data = cv2.imencode(".jpg", cv2.cvtColor(small, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 80])
    assert done
    text = base64.b64encode(data.tobytes()).decode("ascii")
    return _Shown(frame.index, f"{frame.time:.2f}", counted(len(blobs), "blob"), text)


def draw(image: NDArray[np.uint8], axes: Axes, blobs: Sequence[Blob]) -> NDArray[np.uint8]:
    """Return a frame with the outlines of blobs, lanes, lines and the direction drawn on it.

    Args:
        image: (H, W, 3) uint8 RGB.
        axes: of the camera and the belt.
        blobs: that were found in it.
    """
    drawn = image.copy()
    thick = max(1, round(max(image.shape[:2]) / 400))
    for blob in blobs:
        contours, _ = cv2.findContours(
            blob.mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE, offset=(blob.box.left, blob.box.top)
        )
        cv2.drawContours(drawn, contours, -1, _FRUIT if blob.complete else _PARTIAL, thick)
    belt = axes.belt
    for lane in belt.lanes:
        for across in {lane.low, lane.high}:
            _line(drawn, axes, (0, across), (axes.length, across), _LANE, thick)
    spans = [(number, lane.low, lane.high) for number, lane in enumerate(belt.lanes, 1)] or [
        (0, 0.0, float(axes.width))
    ]
    for number, low, high in spans:
        line = axes.decision_line(number)
        _line(drawn, axes, (line, low), (line, high), _DECISION, 2 * thick)
        _line(drawn, axes, (belt.entry_line, low), (belt.entry_line, high), _ENTRY, 2 * thick)
    if belt.roi:
        cv2.polylines(drawn, [np.round(belt.roi).astype(np.int32)], isClosed=True, color=_LANE, thickness=thick)
    way = float(np.clip((belt.speed or 0.0) / 2, 0.08 * axes.length, 0.8 * axes.length))
    start, end = _point(axes, 0.1 * axes.length, axes.width / 2), _point(axes, 0.1 * axes.length + way, axes.width / 2)
    cv2.arrowedLine(drawn, start, end, _ARROW, 2 * thick, tipLength=0.2)
    return drawn


def _line(
    image: NDArray[np.uint8],
    axes: Axes,
    start: tuple[float, float],
    end: tuple[float, float],
    colour: _Colour,
    thick: int,
) -> None:
    cv2.line(image, _point(axes, *start), _point(axes, *end), colour, thick)


def _point(axes: Axes, along: float, across: float) -> tuple[int, int]:
    x, y = axes.pixel(along, across)
    return round(float(x)), round(float(y))
