"""Finders on one core: frames a second, and frames in which every whole fruit is found once and nothing else.

    python -m benchmarks.suite.line_finder

Belts of each texture are simulated at 1280×720 with touching fruit and light that changes, and every frame is drawn
before anything is timed. The palette finder learns from frames of the empty belt. Its peer is what OpenCV offers for
moving things, MOG2: background subtraction that goes on learning, shown the same empty frames first, with an opening
and the same least size. A frame is correct if each fruit that lies wholly in it is found once, its centre within 0.4 of
its radius, and nothing whole is found besides.

Time: 5 minutes. Hardware: 1 CPU core, otherwise idle. n: 120 frames a texture, ~1,500 fruit.
"""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, get_args

import click
import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.lib.measurements import Ledger, Measurement, measure_all
from benchmarks.lib.options import measurement_options
from mango_grader.line import Blob, Box, SimulatedBelt, SimulatorSettings, learn_palette
from mango_grader.line.finders.palette import PaletteFinder
from mango_grader.line.simulator import Change, Shown
from mango_grader.line.simulator.settings import Texture

Image = NDArray[np.uint8]
Find = Callable[[Image], list[Blob]]
NEAR = 0.4
"""How far from a fruit's centre it is found, as a share of its radius."""


@dataclass(frozen=True)
class Setup:
    """What is measured."""

    frames: int
    width: int
    height: int
    seed: int

    def belt(self, texture: Texture) -> SimulatedBelt:
        """Return a belt with fruit, some of which touch, below light that drifts and jumps by 30 %."""
        length = 100.0 * self.width / 1280
        settings = SimulatorSettings(
            texture=texture, width=self.width, height=self.height, fps=10.0, speed=3.0 * length, length_px=length,
            fruit=max(8, self.frames // 3), seed=self.seed, gap=0.35, touching=0.35, empty_seconds=4.0, light_drift=0.1,
            light_changes=(Change(at=8.0, seconds=2.0, factor=1.3, every=6.0),),
        )  # fmt: skip
        return SimulatedBelt(settings)

    def empty(self, texture: Texture) -> list[Image]:
        """Return frames of the same belt, empty and in steady light."""
        settings = replace(self.belt(texture).settings, fruit=1, light_changes=())
        belt = SimulatedBelt(settings)
        return [image_of(belt, index) for index in belt.indices if belt.moment(index)[0] < 2.0]


class Subtraction:
    """Background subtraction as a finder: what MOG2 says is foreground, opened, in pieces of at least some size."""

    def __init__(self, empty: Sequence[Image], least: float) -> None:
        self._model = cv2.createBackgroundSubtractorMOG2(history=200, detectShadows=True)
        self._least = np.pi / 4 * least**2
        for image in empty:
            self._model.apply(image)

    def find(self, image: Image) -> list[Blob]:
        """Return the blobs of the next frame."""
        foreground = (self._model.apply(image) == 255).astype(np.uint8)
        opened = cv2.morphologyEx(foreground, cv2.MORPH_OPEN, np.ones((5, 5), np.uint8))
        count, labels, stats, centres = cv2.connectedComponentsWithStats(opened)
        blobs = []
        for number in range(1, count):
            left, top, width, height, area = (int(each) for each in stats[number])
            if area >= self._least:
                box = Box(left, top, left + width, top + height)
                complete = left > 0 and top > 0 and box.right < image.shape[1] and box.bottom < image.shape[0]
                mask = labels[top : box.bottom, left : box.right] == number
                blobs.append(Blob(box, mask, float(centres[number][0]), float(centres[number][1]), complete))
        return blobs


def image_of(belt: SimulatedBelt, index: int) -> Image:
    """Return one frame of a belt."""
    image = belt.frame(index).image
    assert image is not None
    return image


def is_correct(blobs: Sequence[Blob], shown: Sequence[Shown]) -> bool:
    """Return whether each whole fruit is found once, and nothing whole besides but fruit at the border."""
    left = list(blobs)
    for fruit in (one.blob for one in shown if one.blob.complete):
        near = [blob for blob in left if _distance(blob, fruit) < NEAR]
        if len(near) != 1:
            return False
        left.remove(near[0])
    cut = [one.blob for one in shown if not one.blob.complete]
    return all(not blob.complete or any(_distance(blob, fruit) < 1 for fruit in cut) for blob in left)


def _distance(blob: Blob, fruit: Blob) -> float:
    """Return the distance of two centres, as a share of the fruit's radius."""
    return float(np.hypot(blob.x - fruit.x, blob.y - fruit.y) / np.sqrt(fruit.area / np.pi))


def measure(setup: Setup, texture: Texture) -> dict[str, Any]:
    """Return speed and correct frames of both finders on one belt."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:1])
    cv2.setNumThreads(1)
    belt, empty = setup.belt(texture), setup.empty(texture)
    settings = replace(learn_palette(empty), min_diameter=0.3 * belt.settings.length_px)
    start = next(index for index in belt.indices if belt.shown(index))
    indices = [index for index in belt.indices if index >= start][: setup.frames]
    images, shown = [image_of(belt, index) for index in indices], [belt.shown(index) for index in indices]
    finders: dict[str, Find] = {
        "palette": PaletteFinder(settings).find,
        "mog2": Subtraction(empty, settings.min_diameter).find,
    }
    found = {name: _timed(find, images, shown) for name, find in finders.items()}
    return {"fruit": sum(map(len, shown)), "colours": len(settings.colours), **found}


def _timed(find: Find, images: Sequence[Image], shown: Sequence[Sequence[Shown]]) -> dict[str, Any]:
    seconds, correct = [], 0
    for image, truth in zip(images, shown, strict=True):
        start = time.perf_counter()
        blobs = find(image)
        seconds.append(time.perf_counter() - start)
        correct += is_correct(blobs, truth)
    timed = seconds[min(5, len(seconds) - 1) :]  # the first ones fill caches
    return {
        "n": len(images),
        "correct": correct / len(images),
        "frames_per_second": len(timed) / sum(timed),
        "ms": {f"p{q}": 1e3 * float(np.percentile(timed, q)) for q in (50, 95)},
    }


def summarise(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return one row a texture and finder."""
    return [
        {"texture": texture, "finder": name, **figures[name]}
        for texture, figures in found.items()
        for name in ("palette", "mog2")
    ]


@click.command()
@click.option("--texture", "textures", multiple=True, type=click.Choice(get_args(Texture)), help="Only these belts.")
@click.option("--frames", type=click.IntRange(1), default=120, show_default=True, help="Of each belt.")
@click.option("--width", default=1280, show_default=True)
@click.option("--height", default=720, show_default=True)
@click.option("--seed", default=1, show_default=True)
@measurement_options("line_finder", minutes=30, jobs=1)
def main(textures: Sequence[Texture], minutes: float, jobs: int, resume: bool, out: Path, **options: Any) -> None:
    """Measure both finders on each belt, write JSON and CSV, and print a row each."""
    setup = Setup(**options)
    ledger = Ledger("line_finder", out, asdict(setup), summarise)
    ledger.open(resume)
    each = [Measurement(name, partial(measure, setup, name)) for name in textures or get_args(Texture)]
    measure_all(ledger, each, minutes, jobs)
    for row in ledger.save():
        print(
            f"{row['texture']:<10}{row['finder']:<10}{row['frames_per_second']:7.1f} / s{row['correct']:8.1%} correct"
        )


if __name__ == "__main__":
    main()
