"""When a fruit passed the decision line, between two frames or before it was first seen."""

from collections.abc import Sequence
from typing import NamedTuple

from mango_grader.line.tracking.track import BeltPosition, Track


class Crossing(NamedTuple):
    """When a fruit's centre was on the line.

    Attributes:
        frame: index of the first frame in which it was beyond.
        time: in seconds, between that frame and the one before.
        ticks: of the encoder at that moment; None without one.
    """

    frame: int
    time: float
    ticks: float | None


def start_of(track: Track, first: BeltPosition) -> float:
    """Return where a fruit was in the first frame, as far as the belt's motion says.

    Args:
        track: the fruit.
        first: the first frame.
    """
    return track.born_along - (track.born.belt - first.belt)


def crossing(track: Track, moments: Sequence[BeltPosition], line: float) -> Crossing:
    """Return when a fruit that is beyond the line now passed it.

    Between two frames that show it, it moved with the belt, and what it rolled is spread evenly over the time. Before
    the first frame that shows it, it moved with the belt.

    Args:
        track: the fruit, beyond the line in the last moment.
        moments: frames and the belt's positions, the latest last.
        line: position along the belt, in pixels.
    """
    now = moments[-1]
    path = _path(track, moments)
    after, beyond = path[0]
    for moment, along in path[1:]:
        if along < line:
            share = (line - along) / (beyond - along)
            return Crossing(after.frame, *_between(moment, after, share))
        after, beyond = moment, along
    return Crossing(after.frame, after.time, after.ticks) if path[1:] else Crossing(now.frame, now.time, now.ticks)


def _path(track: Track, moments: Sequence[BeltPosition]) -> list[tuple[BeltPosition, float]]:
    """Return moments and positions of a fruit, the latest first."""
    now = moments[-1]
    path = [(now, track.along)]
    unseen = track.seen.time < now.time
    anchor, place = (track.seen, track.seen_along) if unseen else (track.earlier, track.earlier_along)
    rolled = (track.along - place) - (now.belt - anchor.belt)
    for moment in reversed(moments[:-1]):
        if moment.time > anchor.time:
            share = (moment.time - anchor.time) / (now.time - anchor.time)
            path.append((moment, place + moment.belt - anchor.belt + share * rolled))
        else:
            if path[-1][0].time > anchor.time:
                path.append((anchor, place))
            if moment.time < anchor.time:
                path.append((moment, place - (anchor.belt - moment.belt)))
    return path


def _between(first: BeltPosition, second: BeltPosition, share: float) -> tuple[float, float | None]:
    time = first.time + share * (second.time - first.time)
    if first.ticks is None or second.ticks is None:
        return time, None
    return time, first.ticks + share * (second.ticks - first.ticks)
