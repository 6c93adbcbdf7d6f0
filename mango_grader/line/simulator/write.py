"""Writes a simulated belt as a folder of frames or a video, with its truth and a configuration of the line.

DIR/000123_6.152000_812.jpg   a frame: its index, seconds, and ticks where there is an encoder
DIR/times.csv                 name, time, ticks, index
DIR/truth.csv                 one row for each thing on the belt, see `Truth`
DIR/line.toml                 direction, lanes, decision line, scale, speed, and the palette of the empty belt
DIR/simulate.json             the settings, so that only the same belt is ever continued

A video FILE.mp4 has FILE.truth.csv, FILE.toml and FILE.json beside it, regular times and no encoder.
"""

from collections import Counter
from dataclasses import dataclass, fields, replace
from functools import partial
from os import PathLike
from pathlib import Path

import cv2
import numpy as np
import tomlkit
from numpy.typing import NDArray

from mango_grader.cores import ordered_map
from mango_grader.errors import UsageError
from mango_grader.files import read_json, replacing, write_bytes, write_csv, write_json, write_text
from mango_grader.line.calibration.palette import learn_palette
from mango_grader.line.config import LineConfig
from mango_grader.line.frame import Frame
from mango_grader.line.simulator.belt import SimulatedBelt
from mango_grader.line.simulator.settings import SimulatorSettings
from mango_grader.line.simulator.truth import Truth
from mango_grader.line.sources.stamps import TIMES_FILE
from mango_grader.progress import Progress, SilentProgress
from mango_grader.settings import plain

_GENERATOR = 1  # Raise it when the same settings no longer give the same frames.
_QUALITY = 95
VIDEOS = (".mp4", ".avi", ".mkv")
"""Endings of the videos that can be written."""
_EMPTY = 12  # frames of the empty belt of which the palette is learned


@dataclass(frozen=True)
class WrittenBelt:
    """What was written of a simulated belt.

    Attributes:
        frames: number of frames.
        new: number of frames that were not there before.
        fruit: number of fruit.
        grades: number of fruit by grade.
    """

    frames: int
    new: int
    fruit: int
    grades: dict[str, int]


def as_video(settings: SimulatorSettings) -> SimulatorSettings:
    """Return settings with regular times, no lost frames and no encoder, for a video can tell of none of them."""
    return replace(settings, jitter=0.0, dropped=0.0, ticks_per_px=0.0)


def line_config(belt: SimulatedBelt) -> LineConfig:
    """Return the configuration of the line that a simulated belt is: its palette is learned from the empty belt.

    Args:
        belt: simulated.
    """
    settings = belt.settings
    empty = SimulatedBelt(replace(settings, fruit=1, foreign=0.0, empty_seconds=_EMPTY / settings.fps + 60))
    step = max(1, int(4 * settings.length_px / settings.speed * settings.fps / _EMPTY))
    images = [image for n in range(_EMPTY) if (image := empty.frame(n * step).image) is not None]
    return LineConfig(settings.camera, settings.belt, learn_palette(images))


def write_belt(
    target: str | PathLike[str],
    settings: SimulatorSettings,
    *,
    workers: int | None = None,
    progress: Progress | None = None,
) -> WrittenBelt:
    """Write a simulated belt; frames that are there already are kept.

    Args:
        target: a folder, made if need be, or a video (.mp4, .avi or .mkv).
        settings: of the belt.
        workers: number of threads; None is one per core. The frames do not depend on it.
        progress: shows how far it is.

    Raises:
        UsageError: the target holds anything but this very belt, or the settings do not fit a video.

    Example:
        ```python
        written = write_belt("simulated", SimulatorSettings(fruit=2, seed=1, speed=900.0))
        print(written.grades)
        ```
    """
    path = Path(target)
    progress = progress or SilentProgress()
    if path.suffix.lower() in VIDEOS:
        return _write_video(path, settings, workers, progress)
    belt = SimulatedBelt(settings)
    _claim(path, path / "simulate.json", settings)
    stamps, new = [], 0
    with progress.task("frames", len(belt.indices)) as task:
        for frame, fresh in ordered_map(partial(_write_frame, path, belt), belt.indices, workers):
            stamps.append(frame)
            new += fresh
            task.advance()
    _write_beside(belt, path / "truth.csv", path / "line.toml")
    write_csv(path / TIMES_FILE, ("name", "time", "ticks", "index"), stamps)  # Last: with it the folder is whole.
    return _summary(belt, len(stamps), new)


def _claim(root: Path, record: Path, settings: SimulatorSettings) -> None:
    wanted = {"generator": _GENERATOR, **plain(settings)}
    if record.is_file():
        if read_json(record) != wanted:
            raise UsageError(f"{record} says that another belt was written there; choose another place")
    elif root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise UsageError(f"{root} exists and holds no simulated belt; choose another place")
    else:
        write_json(record, wanted)


def _write_frame(root: Path, belt: SimulatedBelt, index: int) -> tuple[tuple[str, float, float | None, int], bool]:
    time, ticks = belt.moment(index)
    name = f"{index:06d}_{time:.6f}" + ("" if ticks is None else f"_{ticks:.0f}") + ".jpg"
    fresh = not (root / name).exists()  # Files are written whole or not at all, so one that is there is whole.
    if fresh:
        write_bytes(root / name, _jpeg(_pixels(belt.frame(index))))
    return (name, time, ticks, index), fresh


def _write_video(path: Path, settings: SimulatorSettings, workers: int | None, progress: Progress) -> WrittenBelt:
    if settings != as_video(settings):
        raise UsageError(
            "a video tells no irregular times, lost frames or ticks: set jitter, dropped, ticks_per_px to 0"
        )
    belt = SimulatedBelt(settings)
    _claim(path, path.with_suffix(".json"), settings)
    new = not path.exists()
    if new:
        with replacing(path) as temporary, progress.task("frames", len(belt)) as task:
            encoded = temporary.with_suffix(path.suffix)
            try:
                size = settings.width, settings.height
                writer = cv2.VideoWriter(str(encoded), cv2.VideoWriter.fourcc(*"mp4v"), settings.fps, size)
                if not writer.isOpened():
                    raise UsageError(f"{path}: no such video can be written here; try another ending, or a folder")
                for frame in ordered_map(belt.frame, belt.indices, workers):
                    writer.write(_pixels(frame)[..., ::-1])
                    task.advance()
                writer.release()
                encoded.replace(temporary)
            finally:
                encoded.unlink(missing_ok=True)
    _write_beside(belt, path.with_suffix(".truth.csv"), path.with_suffix(".toml"))
    return _summary(belt, len(belt), len(belt) if new else 0)


def _pixels(frame: Frame) -> NDArray[np.uint8]:
    assert frame.image is not None
    return frame.image


def _jpeg(pixels: NDArray[np.uint8]) -> bytes:
    done, data = cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    assert done
    return bytes(data)


def _write_beside(belt: SimulatedBelt, truth: Path, config: Path) -> None:
    titles = [each.name for each in fields(Truth)]
    write_csv(truth, titles, [list(one.to_row().values()) for one in belt.truth])
    write_text(config, tomlkit.dumps(line_config(belt).to_dict()))


def _summary(belt: SimulatedBelt, frames: int, new: int) -> WrittenBelt:
    grades = Counter(one.grade for one in belt.truth if one.grade)
    return WrittenBelt(frames, new, sum(grades.values()), {grade: grades[grade] for grade in sorted(grades)})
