"""A tiny line: a folder of small frames with discs of three colours on a grey belt, and its configuration."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import tomlkit
from bundles import CLASSES, COLOURS
from numpy.typing import NDArray

from mango_grader.line import LineConfig

WIDTH, HEIGHT, STEP, APART, RADIUS, FPS = 160, 60, 8, 52, 11, 25
BELT = (118, 118, 124)
TABLES: dict[str, Any] = {
    "camera": {"width": WIDTH, "height": HEIGHT, "mm_per_px": 2.0},
    "belt": {"direction": "right", "decision_line": 120.0, "motion": "speed", "speed": float(STEP * FPS)},
    "finder": {
        "kind": "palette",
        "colours": [[49.6, 0.6, -3.1, 100.0]],
        "min_diameter": 8.0,
        "light": False,
    },
    "outlets": {"grades": {"green": "left", "yellow": "middle", "red": "right"}, "distance_mm": {"left": 100.0}},
}


def line_config(**sections: Any) -> LineConfig:
    """Return the configuration of the tiny line, with some sections changed."""
    return LineConfig.from_dict({**TABLES, **sections})


def write_config(path: Path, **sections: Any) -> Path:
    """Write the configuration of the tiny line."""
    path.write_text(tomlkit.dumps(line_config(**sections).to_dict()), encoding="utf-8")
    return path


def grade_of(number: int) -> str:
    """Return the class of a fruit, from 0."""
    return CLASSES[(number * number + number // 3) % 3]


def draw(index: int, fruit: int) -> NDArray[np.uint8]:
    """Return a frame of a belt that carries this many fruit; the first one comes in at frame 0."""
    rng = np.random.default_rng(index)
    image = np.full((HEIGHT, WIDTH, 3), BELT, np.uint8)
    for number in range(fruit):
        x = index * STEP - number * APART - RADIUS
        if -RADIUS < x < WIDTH + RADIUS:
            cv2.circle(image, (x, HEIGHT // 2 + number % 5 - 2), RADIUS, COLOURS[grade_of(number)], -1)
    return np.clip(image + rng.integers(-3, 4, image.shape), 0, 255).astype(np.uint8)


def frames_for(fruit: int) -> int:
    """Return the number of frames after which all fruit have left the view."""
    return (WIDTH + 2 * RADIUS + APART * (fruit - 1)) // STEP + 2


def write_frames(folder: Path, fruit: int) -> Path:
    """Write the frames of a belt that carries this many fruit, with their times in their names."""
    folder.mkdir(parents=True)
    for index in range(frames_for(fruit)):
        pixels = cv2.cvtColor(draw(index, fruit), cv2.COLOR_RGB2BGR)
        assert cv2.imwrite(str(folder / f"{index:06d}_{index / FPS:.3f}.png"), pixels)
    return folder
