"""What a running line keeps for its report, beside its log: a slit scan, the colour of the belt, images of fruit."""

import csv
from bisect import insort
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mango_grader.line.belt import Axes
from mango_grader.line.config import LineConfig
from mango_grader.line.crops import CropConfig, cut
from mango_grader.line.decision import Decision
from mango_grader.line.frame import Frame
from mango_grader.line.log.folder import LogFolder
from mango_grader.line.observations import Blob, Box, Sighting

CHUNK = 256
"""Frames in one image of the slit scan."""
SLIT_HEIGHT = 128
"""Pixels of the slit scan across the belt."""
_EMPTY = 0  # grey level of columns without a frame
_SAVED_EVERY = 64  # frames
_BELT_EVERY_S = 1.0
_BELT_SEEN = 0.05  # least share of a frame that is enough to tell the belt's colour
_BELT_GRID = 8  # every 8th pixel tells enough of the belt's colour
THUMBNAIL = 144
TYPICAL, DOUBTFUL = 6, 24  # images of each grade, chosen at random; images of the least confident
_IN_FLIGHT = 256


class LotNotes:
    """An observer of a line that keeps what the report shows and the log does not hold.

    A full disk ends the notes, never the line.

    Args:
        log: folder of the line's log.
        config: of the line.
    """

    def __init__(self, log: LogFolder, config: LineConfig) -> None:
        self._slit = SlitScan(Path(log.path, "slit"), config.axes)
        self._belt = BeltColour(Path(log.path, "belt.csv"))
        self._fruit = FruitImages(log, config.crops)
        self._failed = False

    def see(self, frame: Frame, sightings: Sequence[Sighting], decisions: Sequence[Decision]) -> None:
        """Take in one frame."""
        if self._failed or frame.image is None:
            return
        try:
            self._slit.see(frame.index, frame.image)
            self._belt.see(frame, [sighting.blob.box for sighting in sightings])
            self._fruit.see(frame.image, sightings, decisions)
        except OSError:
            self._failed = True

    def close(self) -> None:
        """Write what has not been written yet."""
        with suppress(OSError):
            self._slit.save()


class SlitScan:
    """One column per frame at the decision line, laid side by side: each fruit that passed shows once.

    It is kept in images of `CHUNK` frames each, FIRST.jpg; columns without a frame are black.

    Args:
        folder: of the images.
        axes: along and across the belt.
    """

    def __init__(self, folder: Path, axes: Axes) -> None:
        self._folder = folder
        across = (np.arange(SLIT_HEIGHT) + 0.5) * axes.width / SLIT_HEIGHT
        line = [axes.decision_line(axes.lane(float(place))) for place in across]
        x, y = axes.pixel(line, across)
        self._x = np.clip(x.astype(np.intp), 0, axes.camera.width - 1)
        self._y = np.clip(y.astype(np.intp), 0, axes.camera.height - 1)
        self._first: int | None = None
        self._columns = np.empty((SLIT_HEIGHT, CHUNK, 3), np.uint8)
        self._unsaved = 0

    def see(self, index: int, image: NDArray[np.uint8]) -> None:
        """Take in the column of one frame.

        Args:
            index: of the frame.
            image: (H, W, 3) uint8 RGB.
        """
        first = index - index % CHUNK
        if first != self._first:
            self.save()
            self._open(first)
        height, width = image.shape[:2]
        self._columns[:, index - first] = image[np.minimum(self._y, height - 1), np.minimum(self._x, width - 1)]
        self._unsaved += 1
        if self._unsaved >= _SAVED_EVERY:
            self.save()

    def save(self) -> None:
        """Write the image in work."""
        if self._first is not None and self._unsaved:
            _save(self._columns, self._folder / f"{self._first:09d}.jpg")
            self._unsaved = 0

    def _open(self, first: int) -> None:
        self._first = first
        self._columns[:] = _EMPTY
        with (
            suppress(OSError, ValueError),
            Image.open(self._folder / f"{first:09d}.jpg") as before,
        ):  # of an earlier run
            self._columns[:] = np.asarray(before.convert("RGB"))


class BeltColour:
    """The colour of the belt once a second, CIELAB: the median of what is no fruit.

    Args:
        path: of a CSV with the columns frame, time, L, a, b.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._last: float | None = None

    def see(self, frame: Frame, fruit: Sequence[Box]) -> None:
        """Take in one frame.

        Args:
            frame: with an image.
            fruit: boxes around the fruit in it.
        """
        assert frame.image is not None
        if self._last is not None and frame.time < self._last + _BELT_EVERY_S:
            return
        self._last = frame.time
        shown = np.ones(frame.image.shape[:2], np.bool_)
        for box in fruit:
            shown[box.top : box.bottom, box.left : box.right] = False
        grid = (slice(None, None, _BELT_GRID),) * 2
        pixels = frame.image[grid]
        if shown[grid].mean() > _BELT_SEEN:  # Otherwise the belt itself is taken for fruit, for its colour has moved.
            pixels = pixels[shown[grid]]
        colour = np.median(pixels.reshape(-1, 3), axis=0).astype(np.float32) / 255
        lab = cv2.cvtColor(colour.reshape(1, 1, 3), cv2.COLOR_RGB2LAB)[0, 0]
        self._path.parent.mkdir(parents=True, exist_ok=True)
        is_new = not self._path.exists()
        with self._path.open("a", encoding="utf-8") as file:
            if is_new:
                file.write("frame,time,L,a,b\n")
            file.write(f"{frame.index},{frame.time!r},{lab[0]:.3f},{lab[1]:.3f},{lab[2]:.3f}\n")


def read_belt(log: LogFolder) -> list[tuple[float, NDArray[np.float64]]]:
    """Return the times and colours of the belt, (L, a, b), in the order of the frames.

    Args:
        log: whose folder holds belt.csv; none is an empty list.
    """
    found: dict[int, tuple[float, NDArray[np.float64]]] = {}
    with suppress(OSError), Path(log.path, "belt.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            with suppress(ValueError, TypeError, KeyError):  # A killed process may leave half a line.
                lab = np.array([float(row[name]) for name in ("L", "a", "b")])
                found[int(row["frame"])] = float(row["time"]), lab
    return [found[frame] for frame in sorted(found)]


@dataclass(frozen=True, eq=False)
class _View:
    image: NDArray[np.uint8]
    blob: Blob


class FruitImages:
    """Images of some fruit as the model gets them: of each grade some chosen at random, and those most in doubt.

    Args:
        log: in whose folder `fruit` they are kept, SEQUENCE.jpg each.
        crops: how they are cut.
    """

    def __init__(self, log: LogFolder, crops: CropConfig) -> None:
        self._folder, self._crops = log.thumbnails, crops
        self._views: dict[int, _View] = {}
        self._groups: dict[str, list[tuple[float, int]]] = {}
        before = {int(path.stem) for path in self._folder.glob("*.jpg") if path.stem.isdecimal()}
        for decision in log.decisions() if before else ():
            if decision.sequence in before:
                self._choose(decision)

    def see(self, image: NDArray[np.uint8], sightings: Sequence[Sighting], decisions: Sequence[Decision]) -> None:
        """Take in one frame.

        Args:
            image: (H, W, 3) uint8 RGB.
            sightings: of the fruit that it shows.
            decisions: that it brought.
        """
        for sighting in sightings:
            if sighting.blob.complete or sighting.fruit not in self._views:  # The last whole view is the one to keep.
                self._views[sighting.fruit] = _View(image, sighting.blob)
        for decision in decisions:
            view = self._views.pop(decision.fruit, None)
            if view is not None and decision.counted and self._choose(decision):
                _save(_small(cut(view.image, view.blob, self._crops)), self._folder / f"{decision.sequence}.jpg")
        while len(self._views) > _IN_FLIGHT:
            del self._views[next(iter(self._views))]

    def _choose(self, decision: Decision) -> bool:
        """Return whether the image of a fruit is kept, and remove those that have to go for it."""
        sequence = decision.sequence
        gone = []
        for group, (size, key) in _groups(decision).items():
            kept = self._groups.setdefault(group, [])
            insort(kept, (key, sequence))
            gone += [one for _, one in kept[size:]]
            del kept[size:]
        kept_now = {one for kept in self._groups.values() for _, one in kept}
        for one in gone:
            if one not in kept_now:
                (self._folder / f"{one}.jpg").unlink(missing_ok=True)
        return sequence in kept_now


def _groups(decision: Decision) -> dict[str, tuple[int, float]]:
    """Return the groups that a fruit may stand for, with the size of each and the fruit's place in it."""
    doubt = -1.0 if decision.grade is None else (decision.confidence or 0.0) - bool(decision.review)
    chance = float(crc32(str(decision.sequence).encode()))
    return {"in doubt": (DOUBTFUL, doubt), f"grade {decision.grade}": (TYPICAL, chance)}


def _small(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    small = Image.fromarray(image)
    small.thumbnail((THUMBNAIL, THUMBNAIL))
    return np.asarray(small)


def _save(image: NDArray[np.uint8], path: Path) -> None:
    """Write a JPEG whole or not at all; it need not survive a power cut."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".part")
    Image.fromarray(image).save(temporary, "JPEG", quality=88)
    temporary.replace(path)
