"""Fruit on a belt as a perfect or a failing finder reports them: blobs without images, with the truth beside them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mango_grader.line import Axes, Belt, Blob, Box, Camera, Frame, Lane, Passage, Sighting
from mango_grader.line.tracking import Tracker, TrackingConfig, make_tracker

CAMERA = Camera(width=640, height=240)
BELT = Belt("right", decision_line=400, lanes=(Lane(0, 120), Lane(120, 240)), motion="speed", speed=300.0)
AXES = Axes(CAMERA, BELT)


@dataclass(frozen=True)
class MovingFruit:
    """One fruit: where it lies on the belt (0 enters at the start, -300 is 300 pixels behind), and its size."""

    place: float
    across: float
    length: float = 60.0
    width: float = 50.0
    roll: float = 0.0  # pixels per second, faster than the belt


@dataclass(frozen=True)
class Shot:
    """A frame, its blobs, and the places of the fruit that each blob shows in the list of fruit."""

    frame: Frame
    blobs: list[Blob]
    fruit: list[tuple[int, ...]]


def ellipse(x: float, y: float, width: float, height: float, camera: Camera = CAMERA) -> Blob | None:
    """Return the part of an ellipse that lies in the frame; None if hardly anything does."""
    left, right = max(round(x - width / 2), 0), min(round(x + width / 2), camera.width)
    top, bottom = max(round(y - height / 2), 0), min(round(y + height / 2), camera.height)
    if right - left < 4 or bottom - top < 4:
        return None
    columns = (np.arange(left, right) - x) / (width / 2)
    rows = (np.arange(top, bottom) - y) / (height / 2)
    return shaped(columns[None] ** 2 + rows[:, None] ** 2 <= 1.0, left, top, camera)


def shaped(mask: NDArray[np.bool_], left: int, top: int, camera: Camera = CAMERA) -> Blob | None:
    """Return the blob of a mask that lies somewhere in the frame."""
    rows, columns = np.nonzero(mask)
    if len(rows) < 10:
        return None
    box = Box(left, top, left + mask.shape[1], top + mask.shape[0])
    inside = box.left > 0 and box.top > 0 and box.right < camera.width and box.bottom < camera.height
    return Blob(box, mask, float(columns.mean() + left), float(rows.mean() + top), inside)


def merged(first: Blob, second: Blob) -> Blob:
    """Return two blobs as the one that a finder makes of fruit that touch."""
    boxes = first.box, second.box
    left, top = min(b.left for b in boxes), min(b.top for b in boxes)
    right, bottom = max(b.right for b in boxes), max(b.bottom for b in boxes)
    mask = np.zeros((bottom - top, right - left), bool)
    for blob in (first, second):
        at = blob.box
        mask[at.top - top : at.bottom - top, at.left - left : at.right - left] |= blob.mask
    found = shaped(mask, left, top)
    assert found is not None
    return found


def shots(
    fruit: Sequence[MovingFruit],
    times: Sequence[float],
    belt: Callable[[float], float],
    image: Callable[[float], NDArray[np.uint8]] | None = None,
) -> Iterator[Shot]:
    """Yield what a perfect finder reports.

    Args:
        fruit: on the belt.
        times: of the frames, in seconds.
        belt: its position by time, in pixels.
        image: of the empty belt, by its position; None for a plain one.
    """
    plain = np.full((CAMERA.height, CAMERA.width, 3), 90, np.uint8)
    for index, time in enumerate(times):
        blobs, shown = [], []
        for place, one in enumerate(fruit):
            blob = ellipse(one.place + belt(time) + one.roll * time, one.across, one.length, one.width)
            if blob is not None:
                blobs.append(blob)
                shown.append((place,))
        pixels = plain if image is None else image(belt(time))
        yield Shot(Frame(index, float(time), pixels, ticks=float(belt(time)) / 2.5), blobs, shown)


def one_after_another(count: int, seed: int, gap: tuple[float, float] = (70.0, 200.0)) -> list[MovingFruit]:
    """Return fruit in two lanes, those of one lane at least a gap apart."""
    rng = np.random.default_rng(seed)
    found = []
    for lane in (60.0, 180.0):
        place = -40.0
        for _ in range(count // 2):
            length = float(rng.uniform(48, 66))
            found.append(MovingFruit(place, lane + float(rng.normal(0, 6)), length, length * 0.85))
            place -= float(rng.uniform(*gap))
    return sorted(found, key=lambda one: -one.place)


@dataclass
class Followed:
    """What a tracker made of shots.

    Attributes:
        passages: in their order.
        sightings: of all frames.
        identities: numbers that the tracker gave each fruit, in their order, by its place in the list.
    """

    passages: list[Passage]
    sightings: list[Sighting]
    identities: dict[int, list[int]]

    @property
    def counted(self) -> int:
        """Number of fruit that passed."""
        return sum(passage.status == "decided" for passage in self.passages)

    @property
    def switches(self) -> int:
        """Number of times that a fruit got another number."""
        return sum(len(numbers) - 1 for numbers in self.identities.values())


def follow(seen: Iterator[Shot] | Sequence[Shot], belt: Belt = BELT, tracker: Tracker | None = None) -> Followed:
    """Let a tracker follow shots to their end."""
    tracker = make_tracker(Axes(CAMERA, belt), TrackingConfig()) if tracker is None else tracker
    result = Followed([], [], {})
    for shot in seen:
        update = tracker.update(shot.frame, shot.blobs)
        result.passages += update.passages
        result.sightings += update.sightings
        for sighting in update.sightings:
            owners = _owners(shot, sighting.blob)
            for place in owners if len(owners) == 1 else ():
                numbers = result.identities.setdefault(place, [])
                if not numbers or numbers[-1] != sighting.fruit:
                    numbers.append(sighting.fruit)
    result.passages += tracker.close()
    return result


def _owners(shot: Shot, blob: Blob) -> set[int]:
    """Return the fruit that a blob shows, which the tracker may have put together from pieces."""
    whole = next((fruit for one, fruit in zip(shot.blobs, shot.fruit, strict=True) if one is blob), None)
    if whole is not None:
        return set(whole)
    box = blob.box
    return {
        place
        for one, fruit in zip(shot.blobs, shot.fruit, strict=True)
        for place in fruit
        if box.left <= one.x <= box.right and box.top <= one.y <= box.bottom
    }


def without(shot: Shot, hidden: Callable[[int], bool]) -> Shot:
    """Return a shot in which the finder missed blobs."""
    kept = [n for n in range(len(shot.blobs)) if not hidden(n)]
    return replace(shot, blobs=[shot.blobs[n] for n in kept], fruit=[shot.fruit[n] for n in kept])
