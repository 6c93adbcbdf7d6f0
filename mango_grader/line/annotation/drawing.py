"""Draws boxes, numbers, grades, lanes and lines into frames."""

from collections import Counter, OrderedDict
from collections.abc import Sequence
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from mango_grader.line.belt import Axes
from mango_grader.line.decision import Decision
from mango_grader.line.frame import Frame
from mango_grader.line.observations import Sighting

Colour = tuple[int, int, int]

# Okabe and Ito's colours, which colour-blind people tell apart, in the order of grades: the best is green.
_GRADES: tuple[Colour, ...] = (
    *((0, 158, 115), (230, 159, 0), (213, 94, 0), (86, 180, 233)),
    *((204, 121, 167), (240, 228, 66), (0, 114, 178)),
)
_OPEN: Colour = (255, 255, 255)
_UNGRADED: Colour = (130, 130, 130)
_LINE: Colour = (255, 64, 64)
_SOFT: Colour = (180, 200, 220)
_PANEL: Colour = (24, 28, 32)
_REMEMBERED = 500  # decisions whose fruit may still be in view


class Annotator:
    """Draws what a line sees and decides; it remembers the decisions, so that later frames show them, too.

    A fruit is white until it is decided; then it has its grade's colour, or is grey without a grade.

    Args:
        axes: of the belt, for lanes and lines.
        classes: of the model, in its order.
        width: the frames are made smaller to at most this width, in pixels.

    Example:
        >>> from mango_grader.line import Belt, Camera
        >>> annotator = Annotator(Axes(Camera(640, 480), Belt("right", decision_line=500)), ("A", "B"), width=320)
        >>> frame = Frame(0, 0.0, np.zeros((480, 640, 3), np.uint8))
        >>> annotator.draw(frame, sightings=(), decisions=()).shape
        (240, 320, 3)
    """

    def __init__(self, axes: Axes, classes: Sequence[str], width: int = 1280) -> None:
        self._axes, self._width = axes, width
        self._colours = {name: _GRADES[n % len(_GRADES)] for n, name in enumerate(classes)}
        self._decided: OrderedDict[int, Decision] = OrderedDict()
        self._counts = Counter[str | None]()

    def draw(self, frame: Frame, sightings: Sequence[Sighting], decisions: Sequence[Decision]) -> NDArray[np.uint8]:
        """Return a copy of a frame, (h, w, 3) uint8 RGB with even sides, with everything drawn in.

        Args:
            frame: with an image.
            sightings: of the fruit that it shows.
            decisions: that it brought.
        """
        assert frame.image is not None, "a frame without an image cannot be drawn"
        for decision in decisions:
            self._remember(decision)
        height, width = frame.image.shape[:2]
        scale = min(1.0, self._width / width)
        size = max(2, round(width * scale) // 2 * 2), max(2, round(height * scale) // 2 * 2)
        image = np.asarray(cv2.resize(frame.image, size, interpolation=cv2.INTER_AREA), np.uint8)
        self._draw_belt(image, scale)
        boxes = [self._draw_box(image, scale, sighting) for sighting in sightings]
        for label, left, top in boxes:  # above all boxes
            _paste(image, label, left, top)
        self._draw_panel(image, frame)
        return image

    def _remember(self, decision: Decision) -> None:
        self._decided[decision.fruit] = decision
        if decision.counted:
            self._counts[decision.grade] += 1
        if len(self._decided) > _REMEMBERED:
            self._decided.popitem(last=False)

    def _draw_belt(self, image: NDArray[np.uint8], scale: float) -> None:
        axes, belt = self._axes, self._axes.belt
        if belt.roi:
            corners = np.round(np.array(belt.roi) * scale).astype(np.int32)
            cv2.polylines(image, [corners], isClosed=True, color=_SOFT, thickness=1)
        lanes = [(n, lane.low, lane.high) for n, lane in enumerate(belt.lanes, 1)] or [(1, 0.0, float(axes.width))]
        for number, low, high in lanes:
            line = axes.decision_line(number)
            if belt.lanes:
                for across in (low, high):
                    self._draw_line(image, scale, [(0, across), (axes.length, across)], _SOFT)
            if belt.entry_line:
                self._draw_line(image, scale, [(belt.entry_line, low), (belt.entry_line, high)], _SOFT)
            self._draw_line(image, scale, [(line, low), (line, high)], _LINE, 2)

    def _draw_line(
        self,
        image: NDArray[np.uint8],
        scale: float,
        ends: Sequence[tuple[float, float]],
        colour: Colour,
        thickness: int = 1,
    ) -> None:
        first, second = (tuple(round(float(part) * scale) for part in self._axes.pixel(*end)) for end in ends)
        cv2.line(image, first, second, colour, thickness)

    def _draw_box(
        self, image: NDArray[np.uint8], scale: float, sighting: Sighting
    ) -> tuple[NDArray[np.uint8], int, int]:
        """Draw the box of a fruit; return its label, and where that stands."""
        box, decision = sighting.blob.box, self._decided.get(sighting.fruit)
        colour = _OPEN if decision is None else self._colours.get(decision.grade or "", _UNGRADED)
        left, top = round(box.left * scale), round(box.top * scale)
        cv2.rectangle(image, (left, top), (round(box.right * scale) - 1, round(box.bottom * scale) - 1), colour, 2)
        return _label(_words(sighting.fruit, decision), colour), left, top

    def _draw_panel(self, image: NDArray[np.uint8], frame: Frame) -> None:
        ticks = "" if frame.ticks is None else f"  {frame.ticks:.0f} ticks"
        place = _paste(image, _label(f"frame {frame.index}  {frame.time:.2f} s{ticks}", _PANEL), 0, 0)
        for name, colour in self._colours.items():
            place = _paste(image, _label(f"{name}  {self._counts[name]:,}", colour), place, 0)
        if self._counts[None]:
            _paste(image, _label(f"no grade  {self._counts[None]:,}", _UNGRADED), place, 0)


def _words(fruit: int, decision: Decision | None) -> str:
    if decision is None:
        return f"{fruit}"
    sure = "" if decision.confidence is None else f" {decision.confidence:.0%}"
    notes = "".join(note for note, true in ((" late", decision.late), (" review", decision.review)) if true)
    return f"{fruit}  {decision.grade or 'no grade'}{sure}{notes}"


@lru_cache(maxsize=1024)
def _label(text: str, colour: Colour) -> NDArray[np.uint8]:
    """Return a text on its colour, (h, w, 3) uint8, in black or white, whichever is easier to read."""
    font = ImageFont.load_default(size=15)
    left, _, right, _ = font.getbbox(text)
    label = Image.new("RGB", (round(right - left) + 8, 20), colour)
    bright = 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2] > 140
    ImageDraw.Draw(label).text((4 - left, 1), text, font=font, fill=(0, 0, 0) if bright else (255, 255, 255))
    return np.asarray(label)


def _paste(image: NDArray[np.uint8], label: NDArray[np.uint8], left: int, bottom: int) -> int:
    """Paste a label so that it stands on a point, or as near as it fits into the image; return where it ends."""
    height, width = min(len(label), len(image)), min(label.shape[1], image.shape[1])
    left = min(max(left, 0), image.shape[1] - width)
    top = min(max(bottom - height, 0), len(image) - height)
    image[top : top + height, left : left + width] = label[:height, :width]
    return int(left + width)
