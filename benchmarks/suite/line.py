"""A whole line in real time: 2 lanes × 10 fruit a second × 4 views on two cores, for 50,000 frames.

    python -m benchmarks.suite.line --model runs/line_anytime/model

A belt is simulated, drawn once as JPEG, and played again and again at its own speed: 1280×720 pixels, 40 frames a
second, each decoded by the reader as a camera's would be. It is empty where it begins anew, so that no fruit is cut in
two. Everything runs as in a packing house: bounded queue that drops the oldest frame, finder with colours learned from
empty frames, tracker with encoder, four views of a fruit, deadline of the configuration, log synced to the disk before
a decision is known, a database as sink. The process may use two cores, and the finder alone, beside, one.

Latency is that of a decision after the frame that shows its fruit last: its exposure, waiting, decoding, finding,
following, grading and the log. Memory is what the process occupies, every 500 frames from a tenth of the run on.

Time: 21 minutes for 50,000 frames, and 2 to draw. Hardware: 2 CPU cores, otherwise idle. n: 1 run, ~20,000 decisions.
"""

import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click
import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.lib.measurements import Ledger, Measurement, measure_all
from benchmarks.lib.options import measurement_options
from mango_grader.line import (
    Frame,
    GivenFrames,
    GradingConfig,
    Line,
    LineConfig,
    LineOptions,
    OutletsConfig,
    buffered,
    learn_palette,
)
from mango_grader.line.simulator import PRESETS, SimulatedBelt, SimulatorSettings
from mango_grader.line.sinks.sqlite import SqliteSettings
from mango_grader.runtime import Grader

CORES = sorted(os.sched_getaffinity(0))
"""Those that the benchmark may use; asked once, for a process that has given some away does not see them any more."""
EVERY = 500
"""Frames between two looks at the memory."""


@dataclass(frozen=True)
class Setup:
    """What is measured."""

    model: str
    frames: int
    seconds: float
    width: int
    height: int
    fps: float
    rate: float
    views: int
    quality: int
    work: str

    @property
    def film(self) -> Path:
        """Folder of the frames."""
        return Path(
            self.work, f"{self.width}x{self.height}-{self.fps:g}fps-{self.seconds:g}s-{self.rate:g}-{self.quality}"
        )

    @property
    def belt(self) -> SimulatorSettings:
        """The belt, with `rate` fruit a second in each of two lanes, seams included."""
        fast, fruit = PRESETS["fast"], round(2 * self.rate * self.seconds)
        length = 0.15 * self.width
        return replace(
            fast, width=self.width, height=self.height, fps=self.fps, fruit=fruit, length_px=length, seed=1,
            speed=11.0 * length, gap=0.05, touching=0.1, stretches=0.0, empty_seconds=0.25, jitter=0.0,
        )  # fmt: skip


@dataclass(frozen=True)
class Film:
    """Pre-rendered frames of a belt, and how far its encoder turns until they begin anew."""

    jpegs: Sequence[bytes]
    ticks: Sequence[float]
    fps: float

    @classmethod
    def of(cls, belt: SimulatedBelt, quality: int, folder: Path) -> "Film":
        """Return every frame of a belt, drawn into a folder where it is not there yet."""
        ticks = folder / "ticks.json"
        if not ticks.exists():
            folder.mkdir(parents=True, exist_ok=True)
            turned = []
            for frame in belt.frames():
                assert frame.image is not None
                bgr = cv2.cvtColor(frame.image, cv2.COLOR_RGB2BGR)
                cv2.imwrite(str(folder / f"{frame.index:06d}.jpg"), bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])
                turned.append(frame.ticks)
            ticks.write_text(json.dumps(turned), encoding="utf-8")
        jpegs = [path.read_bytes() for path in sorted(folder.glob("*.jpg"))]
        return cls(jpegs, json.loads(ticks.read_text(encoding="utf-8")), belt.settings.fps)

    def play(self, frames: int) -> Iterator[Frame]:
        """Yield frames at their own speed, as a camera takes them; their times are those of their exposure."""
        start, span = time.monotonic(), 2 * self.ticks[-1] - self.ticks[-2]
        for index in range(frames):
            taken = start + index / self.fps
            time.sleep(max(taken - time.monotonic(), 0.0))
            turn, place = divmod(index, len(self.jpegs))
            yield Frame(index, taken, self.image(place), turn * span + self.ticks[place])

    def image(self, place: int) -> NDArray[np.uint8]:
        """Return one frame, decoded."""
        bgr = cv2.imdecode(np.frombuffer(self.jpegs[place], np.uint8), cv2.IMREAD_COLOR)
        assert bgr is not None
        return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.uint8)


def config_of(setup: Setup, belt: SimulatedBelt) -> LineConfig:
    """Return the configuration of a line above the belt, the finder's colours learned from an empty one."""
    empty = SimulatedBelt(replace(belt.settings, fruit=1, empty_seconds=2.0))
    palette = learn_palette([empty.frame(index).image for index in range(0, int(1.5 * setup.fps), 5)])  # type: ignore[misc]
    settings = belt.settings
    return LineConfig(
        camera=settings.camera,
        belt=settings.belt,
        finder=palette,
        grading=GradingConfig(views=setup.views),
    )


def measure_line(setup: Setup) -> dict[str, Any]:
    """Return what a line did with a film in real time."""
    use_cores(2)
    belt = SimulatedBelt(setup.belt)
    film, config = Film.of(belt, setup.quality, setup.film), config_of(setup, belt)
    grader = Grader.load(setup.model, "cpu")
    outlets = {name: f"outlet {name}" for name in grader.manifest.classes}
    config = replace(config, outlets=OutletsConfig(grades=outlets, late="the end", unknown="the end"))
    source = buffered(GivenFrames(film.play(setup.frames), finite=False, name="film"))
    latencies: list[float] = []
    memory: list[int] = []
    watch = MemoryWatch(memory, setup.frames // 10)
    late = passed = 0
    with TemporaryDirectory() as folder:
        database = SqliteSettings(str(Path(folder, "fruit.db"))).build()
        options = LineOptions(realtime=True)
        line = Line(
            source, grader, config, log=str(Path(folder, "log")), sinks=[database], observers=[watch], options=options
        )
        cpu, began = time.process_time(), time.monotonic()
        for decision in line:
            latencies.append(time.monotonic() - watch.time_of(decision.decided_frame))
            late += bool(decision.late)
            passed += decision.counted
        seconds = time.monotonic() - began
    per_film = sum(one.is_fruit for one in belt.truth)
    return {
        "frames": setup.frames,
        "dropped": source.counts.dropped,
        "seconds": seconds,
        "cores_used": (time.process_time() - cpu) / seconds,
        "fruit_per_lane_and_second": per_film / 2 / len(film.jpegs) * setup.fps,
        "expected": per_film * setup.frames / len(film.jpegs),
        "decisions": passed,
        "late": late,
        "views": watch.views / max(watch.decisions, 1),
        "latency_ms": {f"p{q}": 1e3 * float(np.percentile(latencies, q)) for q in (50, 95, 99, 100)},
        "memory_mb": [round(one / 2**20, 1) for one in memory],
    }


class MemoryWatch:
    """Sees every frame of a line: remembers when it was taken, and how much memory the process occupies."""

    def __init__(self, memory: list[int], start: int) -> None:
        self._memory, self._start, self._times = memory, start, dict[int, float]()
        self._count = count()
        self.views = self.decisions = 0

    def see(self, frame: Frame, sightings: Sequence[object], decisions: Sequence[Any]) -> None:
        """Take in one frame."""
        self._times[frame.index] = frame.time
        self._times.pop(frame.index - 1000, None)
        self.views += sum(decision.views for decision in decisions)
        self.decisions += len(decisions)
        seen = next(self._count)
        if seen >= self._start and seen % EVERY == 0:
            resident = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
            self._memory.append(resident * os.sysconf("SC_PAGE_SIZE"))

    def time_of(self, index: int) -> float:
        """Return when a frame was taken."""
        return self._times[index]


def measure_finder(setup: Setup) -> dict[str, Any]:
    """Return how many frames a second the finder searches on one core."""
    use_cores(1)
    belt = SimulatedBelt(setup.belt)
    film, config = Film.of(belt, setup.quality, setup.film), config_of(setup, belt)
    finder = config.finder.build(config.axes)
    times = []
    for place in range(min(len(film.jpegs), 200)):
        image = film.image(place)
        start = time.perf_counter()
        finder.find(image)
        times.append(time.perf_counter() - start)
    timed = times[5:]  # the first ones fill caches
    return {"n": len(timed), "frames_per_second": len(timed) / sum(timed), "ms": 1e3 * float(np.median(timed))}


def use_cores(number: int) -> None:
    """Let this process use so many cores."""
    os.sched_setaffinity(0, CORES[:number])
    cv2.setNumThreads(number)


def summarise(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return what was promised, what came of it, and whether that is kept."""
    rows: list[dict[str, Any]] = []

    def row(what: str, value: float, low: float | None, high: float | None = None) -> None:
        kept = (low is None or value >= low) and (high is None or value <= high)
        rows.append({"what": what, "value": value, "at least": low, "at most": high, "kept": kept})

    if (line := found.get("line")) is not None:
        row("fruit a second in each of two lanes", line["fruit_per_lane_and_second"], 10)
        row("frames dropped", line["dropped"], None, 0)
        row("decisions after the last view, p99, ms", line["latency_ms"]["p99"], None, 90)
        row("decisions, as a share of the fruit", line["decisions"] / line["expected"], 0.995, 1.005)
        if memory := line["memory_mb"]:
            middle = float(np.median(memory))
            row("memory beyond its median, share", max(max(memory) - middle, middle - min(memory)) / middle, None, 0.05)
    if (finder := found.get("finder")) is not None:
        row("finder on one core, frames a second", finder["frames_per_second"], 60)
    return rows


@click.command()
@click.option("--model", default="runs/line_anytime/model", show_default=True, help="Run or bundle; 128 pixels.")
@click.option("--frames", type=click.IntRange(20), default=50_000, show_default=True, help="To play.")
@click.option("--seconds", default=10.0, show_default=True, help="About which the belt is drawn, before it repeats.")
@click.option("--width", default=1280, show_default=True)
@click.option("--height", default=720, show_default=True)
@click.option("--fps", default=40.0, show_default=True)
@click.option("--rate", default=10.6, show_default=True, help="Fruit a second and lane, without the empty seams.")
@click.option("--views", default=4, show_default=True, help="Most views of a fruit.")
@click.option("--quality", default=90, show_default=True, help="Of the JPEG files.")
@click.option("--work", default="runs/line", show_default=True, help="Where frames are kept.")
@measurement_options("line", minutes=60, jobs=1)
def main(minutes: float, jobs: int, resume: bool, out: Path, **options: Any) -> None:
    """Measure the line and its finder, write JSON and CSV, and print what is kept."""
    setup = Setup(**options)
    if not Path(setup.model).exists():
        raise click.UsageError(f"{setup.model} is missing; `make bench-line_anytime` makes it, or name a --model")
    named = {key: value for key, value in asdict(setup).items() if key not in ("model", "work")}
    ledger = Ledger("line", out, named, summarise)
    ledger.open(resume)
    each = [Measurement("finder", partial(measure_finder, setup)), Measurement("line", partial(measure_line, setup))]
    measure_all(ledger, each, minutes, jobs)
    for row in ledger.save():
        print(f"{row['what']:<45}{row['value']:>10.4g}  {'kept' if row['kept'] else 'not kept'}")


if __name__ == "__main__":
    main()
