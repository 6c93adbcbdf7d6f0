"""One fruit that is followed, or something that may prove to be one."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

from mango_grader.line.frame import Frame
from mango_grader.line.tracking.looks import Look

Origin = Literal["start", "entry", "view", "split", "exit"]
"""Where it was first seen: in the first frame, coming in, within the view, parting from a group, coming back."""

_MEMORY = 0.7  # share that a new measurement leaves of what was known of size and slip
_SLIP_MEMORY = 0.8


@dataclass(frozen=True)
class BeltPosition:
    """A frame without its image, and where the belt was.

    Attributes:
        frame: index.
        time: in seconds.
        ticks: of the encoder; None without one.
        belt: position of the belt since the first frame, in pixels.
    """

    frame: int
    time: float
    ticks: float | None
    belt: float


@dataclass
class Track:
    """What is known of one fruit; positions in pixels along and across the belt.

    Attributes:
        number: of the fruit; None until it has proved to be one.
        origin: where it was first seen.
        along: position of its centre along the belt in the last frame, seen or reckoned.
        across: position of its centre across the belt.
        slip: pixels per second by which it is faster along the belt than the belt: it rolls.
        drift: pixels per second by which it moves across the belt.
        length: extent along the belt.
        width: extent across the belt.
        area: number of its pixels.
        born: the frame that first showed it.
        born_along: its position along the belt then.
        seen: the last frame that showed it.
        seen_along: its position along the belt then.
        earlier: the frame that showed it before that one.
        earlier_along: its position along the belt then.
        whole: whether the first look, or a later one, showed it whole.
        sightings: frames that showed it alone.
        hidden: whether it is hidden in a group of touching fruit now.
        missed: frames in a row in which nothing of it was seen.
        apart_since: position of the belt since which the finder takes it apart; None if it does not.
        closed: whether its passage is over, and it must not be counted again.
    """

    number: int | None
    origin: Origin
    along: float
    across: float
    slip: float
    drift: float
    length: float
    width: float
    area: float
    born: BeltPosition
    born_along: float
    seen: BeltPosition
    seen_along: float
    earlier: BeltPosition
    earlier_along: float
    whole: bool
    sightings: int = 1
    hidden: bool = False
    missed: int = 0
    apart_since: float | None = None
    closed: bool = False

    @classmethod
    def begin(cls, look: Look, moment: BeltPosition, origin: Origin) -> "Track":
        """Return a track that one look begins."""
        return cls(
            None, origin, look.along, look.across, 0.0, 0.0, look.length, look.width, look.area,
            moment, look.along, moment, look.along, moment, look.along,
            not look.partial,
        )  # fmt: skip

    def predict(self, advance: float, seconds: float) -> None:
        """Move on with the belt.

        Args:
            advance: of the belt, in pixels.
            seconds: since the frame before.
        """
        self.along += advance + self.slip * seconds
        self.across += self.drift * seconds

    def correct(self, look: Look, moment: BeltPosition) -> None:
        """Take over what a frame shows of it, which `predict` has been called for."""
        seconds = moment.time - self.seen.time
        if seconds > 0 and not look.partial:
            # The usual error of a contour's centre is a few pixels, which a high frame rate makes a high speed.
            weight = (1 - _SLIP_MEMORY) * min(1.0, seconds / 0.1)
            self.slip += weight * (look.along - self.along) / seconds
            self.drift += weight * (look.across - self.across) / seconds
        self.along, self.across = look.along, look.across
        if look.partial or not self.whole:
            self.length, self.width = max(self.length, look.length), max(self.width, look.width)
            self.area = max(self.area, look.area)
        else:
            # A piece of a fruit is not believed at once.
            weight = 1 - _MEMORY if look.area > 0.7 * self.area else 0.1
            self.length += weight * (look.length - self.length)
            self.width += weight * (look.width - self.width)
            self.area += weight * (look.area - self.area)
        self.earlier, self.earlier_along = self.seen, self.seen_along
        self.seen, self.seen_along = moment, look.along
        self.sightings += 1
        self.whole = self.whole or not look.partial
        self.missed, self.hidden = 0, False

    def lose(self) -> None:
        """Note that the frame does not show it."""
        self.slip *= _SLIP_MEMORY
        self.drift *= _SLIP_MEMORY
        self.hidden = False
        self.missed += 1

    def hide(self) -> None:
        """Note that the frame shows it as a part of a group."""
        self.slip *= _SLIP_MEMORY
        self.drift *= _SLIP_MEMORY
        self.hidden, self.missed = True, 0

    @property
    def travelled(self) -> float:
        """How far it has come with the belt since it was first seen, in pixels; 0 for what lies still."""
        own, expected = self.seen_along - self.born_along, self.seen.belt - self.born.belt
        if abs(expected) < 1.0 or not 0.3 <= own / expected <= 3.0:
            return 0.0
        return min(abs(own), abs(expected))

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Track":
        """Rebuild from `to_dict`."""
        return cls(**{**values, **{name: BeltPosition(**values[name]) for name in ("born", "seen", "earlier")}})


def position_of(frame: Frame, belt: float) -> BeltPosition:
    """Return a frame's moment.

    Args:
        frame: whose.
        belt: position of the belt at that frame, in pixels.
    """
    return BeltPosition(frame.index, frame.time, frame.ticks, belt)
