"""The simulated belt: a source of frames whose every frame can be computed by itself, with the truth about each."""

import bisect
from collections.abc import Iterator
from functools import cached_property
from math import pi
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from mango_grader.line.frame import Frame
from mango_grader.line.observations import Blob, Box
from mango_grader.line.simulator.motion import BeltMotion
from mango_grader.line.simulator.optics import Optics
from mango_grader.line.simulator.settings import SimulatorSettings
from mango_grader.line.simulator.sprites import Layer, Sprites
from mango_grader.line.simulator.textures import Surface
from mango_grader.line.simulator.traffic import Item, lay_out
from mango_grader.line.simulator.truth import Shown, Truth
from mango_grader.line.sources import SourceCounts

Pixel = TypeVar("Pixel", np.uint8, np.uint16)

_BEYOND = 0.8  # lengths of a fruit from its centre to where nothing of it is seen, its shadow included


class SimulatedBelt:
    """Rolling synthetic mangoes on a belt; the same settings give the same frames and the same truth.

    Args:
        settings: what the belt carries, how it moves, and what the camera makes of it.

    Attributes:
        name: for messages and the log.
        finite: True.
        counts: what happened to its frames so far.
        settings: as given.
        indices: of the frames that arrive, in order.

    Example:
        >>> belt = SimulatedBelt(SimulatorSettings(fruit=3, seed=1, speed=600.0))
        >>> frame = next(belt.frames())
        >>> frame.image.shape, [truth.grade for truth in belt.truth]
        ((480, 640, 3), ['B', 'A', 'C'])
    """

    name = "simulated belt"
    finite = True

    def __init__(self, settings: SimulatorSettings) -> None:
        self.settings = settings
        self.counts = SourceCounts()
        self._items = lay_out(settings)
        self._reach = _BEYOND * settings.length_px * 1.2
        last = self._items[-1].offset
        self._motion = BeltMotion(settings, last + settings.length + 2 * self._reach)
        end = self._motion.seconds if settings.run_out else self._motion.reached(max(last, 0.0))
        times, arrive = self._motion.frame_times(settings, end)
        self._times = times
        self.indices = [int(index) for index in np.flatnonzero(arrive)]
        self._moved = self._motion.displacement(times)
        self._offsets = [item.offset for item in self._items]

    def __len__(self) -> int:
        """Return the number of frames, the lost ones included."""
        return len(self._times)

    def frames(self, start: int = 0) -> Iterator[Frame]:
        """Yield frames; the indices of lost ones are left out.

        Args:
            start: index of the first frame to yield.
        """
        before = start - 1
        for index in self.indices[bisect.bisect_left(self.indices, start) :]:
            self.counts.missing += index - before - 1
            before = index
            yield self.counts.deliver(self.frame(index))

    def frame(self, index: int) -> Frame:
        """Return one frame, whichever were asked for before.

        Args:
            index: from 0.
        """
        settings, moved = self.settings, float(self._moved[index])
        image = self._surface.at(moved - self._origin)
        layers = [layer for _, layer in self._layers(moved)]
        for layer in layers:
            _multiply(image, layer, layer.shadow)
        for layer in layers:
            _multiply(image, layer, layer.left_over, layer.colour)
        time, ticks = self.moment(index)
        open_for = settings.exposure_ms / 1000
        blurred = abs(self.displacement(time + open_for) - moved)
        image = self._optics.take(image, index, time, blurred)
        return Frame(index, time, self._turned(image), ticks)

    def moment(self, index: int) -> tuple[float, float | None]:
        """Return the time of a frame in seconds, and the encoder's count then, None without one.

        Args:
            index: of the frame, from 0.
        """
        time = float(self._times[index])
        return time, self._motion.ticks(time)

    def places(self, index: int) -> dict[int, tuple[float, float]]:
        """Return the position along and across the belt of everything whose centre a frame shows, by number.

        Args:
            index: of the frame, from 0.
        """
        length = self.settings.length
        near = self._near(float(self._moved[index]))
        return {number: (along, item.across) for number, item, along in near if 0 <= along < length}

    def displacement(self, time: float) -> float:
        """Return how far the belt has moved at a time in seconds, in pixels: what lies on it is told apart by that."""
        return float(self._motion.displacement(np.array([time]))[0])

    @cached_property
    def truth(self) -> tuple[Truth, ...]:
        """What is true of each thing on the belt, in the order of entry."""
        return tuple(self._truth_of(number, item) for number, item in enumerate(self._items, 1))

    def shown(self, index: int) -> list[Shown]:
        """Return what one frame shows, from the left to the right of the image: what a perfect finder would find.

        Args:
            index: of the frame, from 0.
        """
        settings, moved = self.settings, float(self._moved[index])
        whole = np.zeros((settings.across, settings.length), np.uint16)
        complete: dict[int, bool] = {}
        for number, layer in self._layers(moved):
            part, inside = _overlap(whole, layer)
            covered = layer.mask[inside]
            part[covered] = number
            complete[number] = int(np.count_nonzero(covered)) == int(np.count_nonzero(layer.mask))
        codes = self._turned(whole)
        found = []
        for number, is_complete in complete.items():
            blob = _blob(codes == number, is_complete)
            if blob is not None:
                item = self._items[number - 1]
                place = float(item.along(moved, settings.length))
                found.append(Shown(number, item.kind, blob, place, item.across))
        return sorted(found, key=lambda one: one.blob.x)

    @cached_property
    def _surface(self) -> Surface:
        return Surface(self.settings)

    @cached_property
    def _sprites(self) -> Sprites:
        return Sprites(self.settings)

    @cached_property
    def _optics(self) -> Optics:
        return Optics(self.settings)

    @property
    def _origin(self) -> int:
        """Pixels to move things by where positions along the belt run against the columns or rows, as `Axes` says."""
        return 1 if self.settings.direction in ("left", "up") else 0

    def _near(self, moved: float) -> Iterator[tuple[int, Item, float]]:
        """Yield everything that may be in sight, its number and its position along the belt."""
        low, high = moved - self.settings.length - 2 * self._reach, moved + 2 * self._reach
        first, last = bisect.bisect_left(self._offsets, low), bisect.bisect_right(self._offsets, high)
        for number, item in enumerate(self._items[first:last], first + 1):
            along = float(item.along(moved, self.settings.length))
            if -self._reach < along < self.settings.length + self._reach:
                yield number, item, along

    def _layers(self, moved: float) -> Iterator[tuple[int, Layer]]:
        """Yield the number and the image of everything that is in sight."""
        for number, item, along in self._near(moved):
            yield number, self._sprites.layer(item, moved, along - self._origin)

    def _turned(self, image: NDArray[Pixel]) -> NDArray[Pixel]:
        """Return an image of the belt, which moves right, as the camera sees it."""
        direction = self.settings.direction
        if direction in ("left", "up"):
            image = image[:, ::-1]
        if direction in ("down", "up"):
            image = image.swapaxes(0, 1)
        return np.ascontiguousarray(image)

    def _truth_of(self, number: int, item: Item) -> Truth:
        settings, motion = self.settings, self._motion
        length, line = settings.length, settings.axes.decision_line(item.lane)
        is_fruit = item.kind == "mango"
        specimen = item.specimen(settings.seed) if is_fruit else None
        entry, crossing = (item.when_at(place, length) for place in (0.0, line))
        entered, passed = self._frame_after(entry), self._frame_after(crossing)
        status = "present at start" if crossing <= 0 else "incomplete" if passed is None else "decided"
        passed_time = motion.reached(crossing) if status == "decided" else None
        turned = abs(item.rolling) * length / (pi / 2)
        return Truth(
            number=number,
            kind=item.kind,
            lane=item.lane,
            grade=specimen.grade if specimen else None,
            severity=specimen.severity if specimen else 0.0,
            touching=item.touching,
            sides=min(4, 1 + round(turned)) if is_fruit else 1,
            length_mm=2 * item.half_length * settings.mm_per_px if is_fruit else None,
            width_mm=2 * item.half_width * settings.mm_per_px if is_fruit else None,
            entered_frame=entered,
            entered_time=motion.reached(entry) if entry > 0 else entry / settings.speed,
            passed_frame=passed,
            passed_time=passed_time,
            passed_ticks=None if passed_time is None else motion.ticks(passed_time),
            across=item.across,
            status=status,
        )

    def _frame_after(self, moved: float) -> int | None:
        """Return the index of the first frame that arrives after the belt has moved so far; None if there is none."""
        first = bisect.bisect_left(self.indices, moved, key=lambda index: self._furthest[index])
        return self.indices[first] if first < len(self.indices) else None

    @cached_property
    def _furthest(self) -> NDArray[np.float64]:
        return np.maximum.accumulate(self._moved)


def _overlap(image: NDArray[Pixel], layer: Layer) -> tuple[NDArray[Pixel], tuple[slice, slice]]:
    """Return the part of an image that a layer covers, as a view, and where that part is in the layer."""
    size, (height, width) = len(layer.colour), image.shape[:2]
    top, left = max(layer.top, 0), max(layer.left, 0)
    bottom, right = max(top, min(layer.top + size, height)), max(left, min(layer.left + size, width))
    rows, columns = slice(top - layer.top, bottom - layer.top), slice(left - layer.left, right - layer.left)
    return image[top:bottom, left:right], (rows, columns)


def _multiply(
    image: NDArray[np.uint8], layer: Layer, factor: NDArray[np.uint8], plus: NDArray[np.uint8] | None = None
) -> None:
    part, inside = _overlap(image, layer)
    if part.size:
        new = cv2.multiply(part, factor[inside], scale=1 / 255)
        part[:] = new if plus is None else cv2.add(new, plus[inside])


def _blob(mask: NDArray[np.bool_], complete: bool) -> Blob | None:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return None
    box = Box(int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)
    part = mask[box.top : box.bottom, box.left : box.right]
    y, x = np.nonzero(part)
    touches = box.left == 0 or box.top == 0 or box.right == mask.shape[1] or box.bottom == mask.shape[0]
    return Blob(box, part, float(x.mean()) + box.left, float(y.mean()) + box.top, complete and not touches)
