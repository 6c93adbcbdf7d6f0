"""Settings of the simulated belt, and presets of them."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, Literal

from mango_grader.errors import UsageError
from mango_grader.line.belt import Axes, Belt, Camera, Direction, Lane
from mango_grader.ranges import BelowOne, Count, NotNegative, Positive, Range, Seed, Share
from mango_grader.settings import Section

Texture = Literal["plain", "ribs", "mesh", "rollers"]


@dataclass(frozen=True)
class Change(Section):
    """Something that differs for a while: the speed of the belt, or the light.

    Attributes:
        at: seconds after the start at which it begins.
        seconds: for which it lasts.
        factor: by which the speed or the light is multiplied; a speed of 0 stops the belt, a negative one reverses it.
        every: seconds after which it comes again; None for once.
    """

    at: NotNegative
    seconds: Positive
    factor: Annotated[float, Range(-4, 8)]
    every: Positive | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.every is not None and self.every <= self.seconds:
            raise UsageError("a change comes again only after it is over: every must be above seconds")


@dataclass(frozen=True)
class SimulatorSettings(Section):
    """What the simulated belt carries, how it moves, and what the camera makes of it.

    Attributes:
        fruit: number of fruit.
        seed: of everything that is drawn.
        width: of a frame, in pixels.
        height: of a frame, in pixels.
        direction: in which fruit move through the image.
        lanes: number of lanes, side by side.
        texture: of the belt: plain, with ribs across, a mesh with holes, or rollers.
        length_px: mean length of a fruit, in pixels.
        mm_per_px: millimetres on the belt per pixel.
        fps: frames per second.
        speed: of the belt, in pixels per second.
        ripple: by how much the speed swings around it, as a share.
        speed_changes: stops, reversals and other changes of the speed.
        gap: mean free room between fruit that do not touch, in lengths of a fruit.
        touching: share of the fruit that touch the one before them.
        wander: share of the fruit that roll along the belt a little, so that touching ones part and others meet.
        stretches: share of the fruit before which the belt is empty for some lengths of a fruit.
        turns: least and most turns of a fruit about its own axis along the length of a frame.
        roll_steps: number of sides from which a fruit is drawn in one turn.
        foreign: share of things on the belt that are no fruit: leaves, stones and stickers.
        empty_seconds: for which the belt is empty at first.
        full_at_start: whether fruit lie all along the belt in the first frame.
        run_out: whether frames go on until the last fruit has left; else they end when it enters.
        exposure_ms: for which the shutter is open, which blurs what moves.
        noise: of the camera, in grey levels of 255.
        light_drift: by how much brightness and colour swing within a minute, as a share.
        light_changes: sudden changes of the light or the exposure.
        jitter: irregularity of the times of frames, as a share of the time between them.
        dropped: share of frames that are lost.
        ticks_per_px: of the encoder; 0 for a belt without one.

    Example:
        >>> settings = SimulatorSettings(fruit=4, seed=1, speed_changes=(Change(at=3.0, seconds=2.0, factor=0.0),))
        >>> settings.axes.decision_line(lane=1)
        520.0
    """

    fruit: Count = 60
    seed: Seed = 0
    width: Annotated[int, Range(96, 4096)] = 640
    height: Annotated[int, Range(96, 4096)] = 480
    direction: Direction = "right"
    lanes: Annotated[int, Range(1, 16)] = 2
    texture: Texture = "mesh"
    length_px: Annotated[float, Range(24, 600)] = 100.0
    mm_per_px: Positive = 1.1
    fps: Annotated[float, Range(0.5, 240)] = 20.0
    speed: Positive = 300.0
    ripple: Annotated[float, Range(0, 0.5)] = 0.02
    speed_changes: tuple[Change, ...] = ()
    gap: NotNegative = 0.6
    touching: Share = 0.2
    wander: Share = 0.15
    stretches: Share = 0.02
    turns: tuple[Annotated[float, Range(0, 20)], Annotated[float, Range(0, 20)]] = (0.7, 1.1)
    roll_steps: Annotated[int, Range(1, 360)] = 24
    foreign: BelowOne = 0.0
    empty_seconds: NotNegative = 2.0
    full_at_start: bool = False
    run_out: bool = True
    exposure_ms: NotNegative = 4.0
    noise: Annotated[float, Range(0, 40)] = 2.0
    light_drift: Annotated[float, Range(0, 0.5)] = 0.03
    light_changes: tuple[Change, ...] = ()
    jitter: BelowOne = 0.1
    dropped: BelowOne = 0.0
    ticks_per_px: NotNegative = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.turns[0] > self.turns[1]:
            raise UsageError("turns: the least is above the most")
        if self.lane_width < 1.25 * self.length_px:
            raise UsageError(
                f"lanes of {self.lane_width:.0f} pixels are too narrow for fruit of {self.length_px:g} pixels"
            )
        if self.length < 2.5 * self.length_px:
            raise UsageError(f"{self.length} pixels along the belt are too few for fruit of {self.length_px:g} pixels")
        if any(change.factor < 0 for change in self.light_changes):
            raise UsageError("light_changes: light cannot be negative")

    @property
    def length(self) -> int:
        """Number of pixels of a frame along the belt."""
        return self.width if self.direction in ("right", "left") else self.height

    @property
    def across(self) -> int:
        """Number of pixels of a frame across the belt."""
        return self.height if self.direction in ("right", "left") else self.width

    @property
    def lane_width(self) -> float:
        """Pixels across one lane."""
        return self.across / self.lanes

    @property
    def camera(self) -> Camera:
        """The camera, as a configuration of the line says it."""
        return Camera(self.width, self.height, self.mm_per_px)

    @property
    def belt(self) -> Belt:
        """The belt, as a configuration of the line says it."""
        borders = [round(self.lane_width * lane, 1) for lane in range(self.lanes + 1)]
        return Belt(
            direction=self.direction,
            decision_line=float(round(self.length - 1.2 * self.length_px)),
            lanes=tuple(Lane(low, high) for low, high in pairwise(borders)),
            motion="encoder" if self.ticks_per_px else "estimated",
            speed=self.speed,
            px_per_tick=1 / self.ticks_per_px if self.ticks_per_px else None,
        )

    @property
    def axes(self) -> Axes:
        """Positions along and across the belt."""
        return Axes(self.camera, self.belt)
