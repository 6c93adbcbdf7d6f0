"""The calibration of a line: everything in `line.toml` that can be seen, and how sure each value is."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from mango_grader.errors import UsageError
from mango_grader.line.belt import Axes, Belt, Camera, Direction, Lane, Motion
from mango_grader.line.calibration.emptiness import empty_frames
from mango_grader.line.calibration.footage import Footage
from mango_grader.line.calibration.layout import lay_lanes, lay_lines
from mango_grader.line.calibration.motion import (
    FruitMotion,
    TextureMotion,
    Velocity,
    fruit_motion,
    texture_motion,
)
from mango_grader.line.calibration.palette import learn_palette
from mango_grader.line.calibration.palette_estimate import estimate_palette
from mango_grader.line.calibration.scale import Measure, Pitch, Scale
from mango_grader.line.config import LineConfig
from mango_grader.line.finders import FinderSettings
from mango_grader.line.frame import Frame
from mango_grader.line.lens import Lens
from mango_grader.line.observations import Blob
from mango_grader.progress import Progress

_LEAST_SKEW = 0.01  # below which a camera counts as straight
_STRETCHES = 3  # of frames that look empty that are named
_CHECKED = 0.5  # share of the fruit that confirm a speed


@dataclass(frozen=True)
class Request:
    """What the user knows and wants; None leaves it to the frames.

    Attributes:
        measure: of the camera's scale.
        lanes: number of them.
        direction: in which fruit move.
        speed: of the belt, in pixels per second.
        motion: how the line is to know the belt's position.
        entry_line: position along the belt, in pixels.
        decision_line: position along the belt, in pixels.
    """

    measure: Measure | None = None
    lanes: int | None = None
    direction: Direction | None = None
    speed: float | None = None
    motion: Motion | None = None
    entry_line: float | None = None
    decision_line: float | None = None


@dataclass(frozen=True)
class Finding:
    """One value of the configuration, and how it is known.

    Attributes:
        name: of the setting, such as "belt.speed".
        value: in words.
        how: it is known.
        sure: from 0 to 1; None where the user gave it.
    """

    name: str
    value: str
    how: str
    sure: float | None


@dataclass(frozen=True)
class Calibration:
    """A configuration, and how each of its values is known.

    Attributes:
        config: of the line.
        findings: in the order in which one should read them.
    """

    config: LineConfig
    findings: tuple[Finding, ...]


def calibrate(footage: Footage, request: Request, progress: Progress) -> Calibration:
    """Return the configuration of a line.

    Args:
        footage: of its belt.
        request: what the user knows and wants.
        progress: where to report to.

    Raises:
        UsageError: the direction or the scale cannot be told from these frames; one line says which option tells it.
    """
    camera, scale = _camera(footage, request.measure)
    footage = footage.straightened(Lens(camera))
    texture = texture_motion(footage)
    finder, palette = _finder(footage, moving=texture is not None)
    seen = _find(footage, finder, progress)
    fruit = fruit_motion(seen, texture)
    velocity, moving = _velocity(texture, fruit, request)
    belt, laid = _belt(footage, velocity, fruit, request)
    findings = [*moving, *laid, palette, *([] if scale is None else [scale])]
    if fruit is not None:
        size = f"{fruit.length:.0f} × {fruit.width:.0f} pixels"
        findings.append(Finding("fruit", size, f"median of {len(fruit.across)} looks", fruit.agreeing))
    return Calibration(LineConfig(camera, belt, finder), tuple(findings))


def _finder(footage: Footage, *, moving: bool) -> tuple[FinderSettings, Finding]:
    if footage.empty:
        count = len(footage.empty)
        return learn_palette(footage.empty), Finding("finder", "palette", f"learned from {count} empty frames", 1.0)
    frames = footage.whole
    empty = empty_frames(footage.images)
    if empty and (moving or len(empty) < len(frames)):
        how = f"learned from {len(empty)} frames that look empty, {_stretches(empty, frames)}"
        settings = learn_palette([footage.images[place] for place in empty])
        if len(empty) == len(frames):
            return settings, Finding("finder", "palette", f"{how}; no frame shows fruit", 0.6)
        return settings, Finding("finder", "palette", how, 0.9)
    estimate = estimate_palette(footage.images)
    how = f"learned {estimate.how}; name empty ones with --empty"
    return estimate.settings, Finding("finder", "palette", how, estimate.sureness)


def _stretches(places: Sequence[int], frames: Sequence[Frame]) -> str:
    """Return the indexes of frames in words, as stretches of those that were kept whole."""
    starts = [n for n, place in enumerate(places) if n == 0 or place != places[n - 1] + 1]
    stretches = [
        f"{frames[places[start]].index} to {frames[places[end - 1]].index}"
        for start, end in zip(starts, [*starts[1:], len(places)], strict=True)
    ]
    more = len(stretches) - _STRETCHES
    return ", ".join([*stretches[:_STRETCHES], *([f"and {more} more"] if more > 0 else [])])


def _find(footage: Footage, settings: FinderSettings, progress: Progress) -> list[list[tuple[float, Sequence[Blob]]]]:
    axes = Axes(Camera(footage.width, footage.height), Belt("right", decision_line=0.0))
    finder = settings.build(axes)
    seen: list[list[tuple[float, Sequence[Blob]]]] = []
    with progress.task("fruit", len(footage.runs)) as task:
        for run in footage.runs:
            seen.append([(frame.time, finder.find(frame.image)) for frame in run if frame.image is not None])
            task.advance()
    return seen


def _velocity(
    texture: TextureMotion | None, fruit: FruitMotion | None, request: Request
) -> tuple[Velocity, list[Finding]]:
    """Return how the belt moves; fruit decide where they contradict its texture."""
    found, how, sure = _measured(texture, fruit)
    if request.direction is not None:
        speed = request.speed if request.speed is not None else 0.0 if found is None else found.speed
        if found is None or found.direction != request.direction:
            found, how = _straight(request.direction, speed), "the direction was given"
    if found is None:
        raise UsageError(
            "nothing moves in these frames: take more of them, closer together, or give --direction and --speed"
        )
    speed = found.speed if request.speed is None else request.speed
    findings = [
        Finding("belt.direction", found.direction, *_source(how, sure, request.direction is not None)),
        Finding("belt.speed", f"{speed:.1f} px/s", *_source(how, sure, request.speed is not None)),
    ]
    if request.speed is not None and found.speed > 0:
        factor = request.speed / found.speed
        found = Velocity(found.x * factor, found.y * factor)
    return found, findings


def _measured(texture: TextureMotion | None, fruit: FruitMotion | None) -> tuple[Velocity | None, str, float]:
    if texture is None and fruit is None:
        return None, "", 0.0
    if fruit is None:
        assert texture is not None
        how = f"the belt's texture, correlation {texture.correlation:.2f}; the speed varies by {texture.spread:.0%}"
        if texture.period is None:
            return texture.velocity, f"{how}; no fruit to check it with", 0.8 * texture.correlation
        how += f"; it repeats every {texture.period:.1f} pixels and no fruit shows that the period is right"
        return texture.velocity, how, 0.6 * texture.correlation
    checked = f"{fruit.agreeing:.0%} of {fruit.pairs} fruit lie where it says"
    if texture is not None and _alike(texture.velocity, fruit.velocity) and fruit.agreeing >= _CHECKED:
        return texture.velocity, f"the belt's texture, and {checked}", max(texture.correlation, fruit.agreeing)
    if texture is None:
        return fruit.velocity, f"moving fruit: {checked}", fruit.agreeing
    said = f"{texture.velocity.speed:.1f} px/s to the {texture.velocity.direction}"
    return fruit.velocity, f"moving fruit: {checked}; the belt's texture says {said}", 0.7 * fruit.agreeing


def _alike(one: Velocity, other: Velocity) -> bool:
    return bool(np.hypot(one.x - other.x, one.y - other.y) < 0.15 * max(one.speed, other.speed))


def _straight(direction: Direction, speed: float) -> Velocity:
    x, y = {"right": (1, 0), "left": (-1, 0), "down": (0, 1), "up": (0, -1)}[direction]
    return Velocity(x * max(speed, 1e-9), y * max(speed, 1e-9))


def _source(how: str, sure: float, given: bool) -> tuple[str, float | None]:
    return ("given", None) if given else (how, sure)


def _camera(footage: Footage, measure: Measure | None) -> tuple[Camera, Finding | None]:
    camera = Camera(footage.width, footage.height)
    if measure is None:
        return camera, None
    texture = texture_motion(footage) if isinstance(measure, Pitch) else None
    scale: Scale = measure.scale([*footage.empty, *footage.images], None if texture is None else texture.period)
    camera = replace(camera, mm_per_px=_digits(scale.mm_per_px), matrix=scale.matrix, distortion=scale.distortion)
    sure = None if scale.how == "given" else 0.9
    return camera, Finding("camera.mm_per_px", f"{camera.mm_per_px:g} mm", scale.how, sure)


def _belt(
    footage: Footage, velocity: Velocity, fruit: FruitMotion | None, request: Request
) -> tuple[Belt, list[Finding]]:
    skew, skewed = _skew(velocity, fruit)
    known = velocity.speed if velocity.speed > 1e-6 else None
    per_tick = None if known is None else _px_per_tick(footage, known)
    motion = request.motion or ("estimated" if per_tick is None else "encoder")
    if motion == "encoder" and per_tick is None:
        raise UsageError("--motion encoder: the frames carry no ticks, or they do not move with the belt")
    if motion == "speed" and known is None:
        raise UsageError("--motion speed: give --speed, for nothing moves in these frames")
    axes = Axes(Camera(footage.width, footage.height), Belt(velocity.direction, decision_line=0.0))
    step = velocity.speed * float(np.median(np.diff(footage.times)))
    entry, decision = lay_lines(axes.length, None if fruit is None else fruit.length, step)
    decision = decision if request.decision_line is None else request.decision_line
    entry = min(entry, decision) if request.entry_line is None else request.entry_line
    lanes = lay_lanes(
        request.lanes, axes.width, () if fruit is None else fruit.across, 0.0 if fruit is None else fruit.width
    )
    belt = Belt(
        velocity.direction,
        decision_line=decision,
        entry_line=entry,
        skew=skew,
        lanes=lanes,
        motion=motion,
        speed=None if known is None else round(known, 2),
        px_per_tick=None if per_tick is None else _digits(per_tick),
    )
    size = "a fruit's length" if fruit is not None else "no fruit was seen: a fifth of the view stands for its length"
    lined = 0.9 if fruit is not None else 0.3
    findings = [
        skewed,
        Finding("belt.entry_line", f"{entry:g} px", *_source(size, lined, request.entry_line is not None)),
        Finding("belt.decision_line", f"{decision:g} px", *_source(size, lined, request.decision_line is not None)),
        _lanes_finding(lanes, request, fruit),
        Finding(
            "belt.motion",
            motion,
            "given" if request.motion else "ticks of the encoder" if per_tick else "default",
            None if request.motion else 1.0,
        ),
    ]
    if per_tick is not None:
        findings.append(Finding("belt.px_per_tick", f"{belt.px_per_tick:g} px", "speed over ticks per second", 0.8))
    return belt, findings


def _skew(velocity: Velocity, fruit: FruitMotion | None) -> tuple[float, Finding]:
    """Return how far fruit move across the belt; texture would show a camera that drifts, too."""
    if fruit is None or fruit.velocity.direction != velocity.direction:
        return 0.0, Finding("belt.skew", "0", "no fruit was seen that moves across the belt", 0.5)
    skew = round(fruit.velocity.skew, 3)
    skew = skew if abs(skew) >= _LEAST_SKEW else 0.0
    return skew, Finding("belt.skew", f"{skew:g}", "how far fruit move across the belt", fruit.agreeing)


def _lanes_finding(lanes: Sequence[Lane], request: Request, fruit: FruitMotion | None) -> Finding:
    value = (
        "one" if len(lanes) < 2 else f"{len(lanes)}, parted at {', '.join(f'{lane.high:g}' for lane in lanes[:-1])} px"
    )
    if fruit is None:
        return Finding("belt.lanes", value, "strips of equal width; no fruit was seen", 0.3 if request.lanes else 0.2)
    return Finding("belt.lanes", value, f"where {len(fruit.across)} fruit lie", 0.8)


def _px_per_tick(footage: Footage, speed: float) -> float | None:
    """Return pixels per tick; None where frames have no ticks, or the encoder stands still."""
    known = [(time, ticks) for time, ticks in zip(footage.times, footage.ticks, strict=True) if ticks is not None]
    if len(known) < 3:
        return None
    rates = [
        (later[1] - earlier[1]) / (later[0] - earlier[0])
        for earlier, later in pairwise(known)
        if later[0] > earlier[0] and later[1] != earlier[1]
    ]
    return speed / abs(float(np.median(rates))) if rates and np.median(rates) else None


def _digits(value: float) -> float:
    return float(f"{value:.5g}")
