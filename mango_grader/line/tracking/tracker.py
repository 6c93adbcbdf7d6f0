"""The tracker: fruit are followed by where they lie on the belt, and counted once as they pass the decision line."""

import statistics
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from mango_grader.line.belt import Axes
from mango_grader.line.frame import Frame
from mango_grader.line.observations import Blob, Passage, Sighting, Status
from mango_grader.line.tracking.association import associate
from mango_grader.line.tracking.base import Update
from mango_grader.line.tracking.crossing import Crossing, crossing, start_of
from mango_grader.line.tracking.fragments import joined, pieces_of
from mango_grader.line.tracking.looks import Look, View, look
from mango_grader.line.tracking.motion import make_motion
from mango_grader.line.tracking.settings import TrackingConfig
from mango_grader.line.tracking.track import BeltPosition, Origin, Track, position_of

_SIZES = 40  # fruit of which the usual size is the median
_ENOUGH = 3  # fruit that make a usual size
_MISSED = 3  # frames for which a fruit may always be hidden, however slow the camera is
_SPEED_SECONDS = 0.1  # over which the speed at a passage is taken
_STEP = 1.0  # pixels of belt after which another moment is remembered
_PIECE = 0.45  # of the usual area: what is smaller may be a piece of a fruit, and has to come further
_DIRT = 0.15  # of the usual area: what is smaller is no fruit
_PARTED = 1.5  # a track of this many usual areas was a group when a fruit parts from it


class BeltTracker:
    """Follows fruit on a belt whose motion is known.

    What comes in at the beginning of the view is a fruit once it is seen whole and moves with the belt. What appears
    within the view (hidden in a group, or missed by the finder so far) has to come further; where it was in the frames
    before follows from the belt's motion, so that it counts at the moment at which it passed the line. What never
    moves with the belt is no fruit.

    Args:
        axes: of the camera and the belt.
        config: how fruit are followed.

    Example:
        >>> import numpy as np
        >>> from mango_grader.line import Axes, Belt, Blob, Box, Camera, Frame
        >>> axes = Axes(Camera(640, 240), Belt("right", decision_line=100, motion="speed", speed=300.0))
        >>> tracker = BeltTracker(axes, TrackingConfig())
        >>> mask, image = np.ones((50, 60), bool), np.zeros((240, 640, 3), np.uint8)
        >>> for n in range(20):
        ...     blob = Blob(Box(1 + 10 * n, 80, 61 + 10 * n, 130), mask, 30.5 + 10 * n, 104.5, complete=True)
        ...     for passage in tracker.update(Frame(n, n / 30, image), [blob]).passages:
        ...         print(passage.fruit, passage.status, passage.passed_frame, round(passage.passed_time, 4))
        1 decided 7 0.2317
    """

    def __init__(self, axes: Axes, config: TrackingConfig) -> None:
        self._axes, self._config, self._view = axes, config, View.of(axes)
        self._motion = make_motion(axes)
        self._tracks: list[Track] = []
        self._moments: list[BeltPosition] = []
        self._first: BeltPosition | None = None
        self._count = 0
        self._lengths: list[float] = []
        self._areas: list[float] = []

    def update(self, frame: Frame, blobs: Sequence[Blob]) -> Update:
        """Take in one frame; one that could not be read changes nothing."""
        if frame.image is None:
            return Update((), ())
        looks = [look(self._axes, self._view, blob, self._usual(self._lengths)) for blob in blobs]
        before = self._moments[-1] if self._moments else None
        advance = self._motion.advance(frame, self._tracks, looks)
        now = position_of(frame, advance if before is None else before.belt + advance)
        self._remember(now)
        if before is not None:
            for track in self._tracks:
                track.predict(advance, frame.time - before.time)
        seen = self._follow(self._whole(looks, now), now, advance)
        self._prove(advance)
        sightings = sorted(
            (self._sighting(track, one, now) for track, one in seen if track.number is not None), key=lambda s: s.fruit
        )
        return Update(tuple(sightings), tuple(self._passages(now)))

    def close(self) -> tuple[Passage, ...]:
        """Return the passages, as incomplete, of the fruit that the source's end left open."""
        tracks, self._tracks = self._tracks, []
        opened = [track for track in tracks if track.number is not None and not track.closed]
        return tuple(self._incomplete(track) for track in opened)

    def state(self) -> dict[str, Any]:
        """Return all that it knows as plain JSON values."""
        return {
            "motion": self._motion.state(),
            "tracks": [track.to_dict() for track in self._tracks],
            "moments": [asdict(moment) for moment in self._moments],
            "first": None if self._first is None else asdict(self._first),
            "count": self._count,
            "lengths": list(self._lengths),
            "areas": list(self._areas),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take over what `state` returned."""
        self._motion.restore(state["motion"])
        self._tracks = [Track.from_dict(values) for values in state["tracks"]]
        self._moments = [BeltPosition(**values) for values in state["moments"]]
        self._first = None if state["first"] is None else BeltPosition(**state["first"])
        self._count = state["count"]
        self._lengths, self._areas = list(state["lengths"]), list(state["areas"])

    @staticmethod
    def _usual(sizes: Sequence[float]) -> float | None:
        return statistics.median(sizes) if len(sizes) >= _ENOUGH else None

    def _speed(self) -> float | None:
        """Return the belt's speed over the last moments, in pixels per second; None at the start."""
        now = self._moments[-1]
        for before in reversed(self._moments[:-1]):
            if now.time - before.time >= _SPEED_SECONDS or before is self._moments[0]:
                return (now.belt - before.belt) / (now.time - before.time)
        return None

    def _remember(self, now: BeltPosition) -> None:
        """Keep a moment for each pixel of belt, as far back as a fruit in view can have come."""
        if self._first is None:
            self._first = now
        if len(self._moments) > 1 and abs(now.belt - self._moments[-2].belt) < _STEP:
            self._moments[-1] = now
        else:
            self._moments.append(now)
        reach = 2 * self._view.length
        while len(self._moments) > 2 and abs(now.belt - self._moments[1].belt) > reach:
            del self._moments[0]
        del self._moments[: -round(4 * reach)]  # of a belt that goes back and forth

    def _whole(self, looks: Sequence[Look], now: BeltPosition) -> Sequence[Look]:
        """Return looks in which the pieces of a fruit are one; for a while, since what stays apart is two fruit."""
        usual = self._usual(self._areas)
        if usual is None:
            return looks
        tracks = [track for track in self._tracks if track.number is not None and track.area < _PARTED * usual]
        gone: set[int] = set()
        found: list[Look] = []
        for track, pieces in zip(tracks, pieces_of(tracks, looks), strict=True):
            if not pieces:
                track.apart_since = None
                continue
            track.apart_since = now.belt if track.apart_since is None else track.apart_since
            if abs(now.belt - track.apart_since) <= min(track.length, track.width):
                gone.update(pieces)
                blob = joined([looks[place].blob for place in pieces])
                found.append(look(self._axes, self._view, blob, self._usual(self._lengths)))
        return [*(one for place, one in enumerate(looks) if place not in gone), *found]

    def _follow(self, looks: Sequence[Look], now: BeltPosition, advance: float) -> list[tuple[Track, Look]]:
        """Bring looks and tracks together; return which track each look shows."""
        tracks = self._tracks
        found = associate(tracks, looks, self._usual(self._areas))
        parents = [(track, track.area) for track in tracks]
        for members in found.groups.values():
            for member in members:
                tracks[member].hide()
        shown = {track for track, _ in found.pairs}.union(*found.groups.values())
        for number, track in enumerate(tracks):
            if number not in shown:
                track.lose()
        seen = [(tracks[number], looks[place]) for number, place in found.pairs]
        for track, one in seen:
            track.correct(one, now)
        taken = {place for _, place in found.pairs} | found.groups.keys()
        for one in (looks[place] for place in range(len(looks)) if place not in taken):
            track = Track.begin(one, now, self._origin(one, advance, parents))
            self._tracks.append(track)
            seen.append((track, one))
        return seen

    def _origin(self, one: Look, advance: float, parents: Sequence[tuple[Track, float]]) -> Origin:
        """Return where something that is seen for the first time came from."""
        if len(self._moments) == 1:
            return "start"
        before = one.along - advance
        if advance > 0 and before <= self._view.low + one.length / 2 + 2:
            return "entry"
        if advance < 0 and before >= self._view.high - one.length / 2 - 2:
            return "exit"
        usual = self._usual(self._areas)
        for track, area in parents:
            reach = (track.length + one.length) / 2, (track.width + one.width) / 2
            close = abs(track.along - one.along) < reach[0] and abs(track.across - one.across) < reach[1]
            large = area > _PARTED * usual if usual is not None else area > _PARTED * one.area
            if close and large and track.number is not None:
                return "split"
        return "view"

    def _prove(self, advance: float) -> None:
        """Number what has proved to be a fruit, in the order in which fruit appeared."""
        for track in self._tracks:
            if track.number is None and not track.closed and self._is_fruit(track, advance):
                if track.origin == "exit":
                    track.closed = True  # it was counted before the belt went back
                    continue
                self._count += 1
                track.number = self._count

    def _is_fruit(self, track: Track, advance: float) -> bool:
        if track.missed or track.hidden:
            return False
        usual = self._usual(self._areas)
        share = 1.0 if usual is None else track.area / usual
        if share < _DIRT:
            return False
        if track.sightings == 1 and share >= _PIECE:
            # At a low frame rate the belt moves so far that nothing else can have brought it here.
            return track.origin == "entry" and track.whole and advance > 0.25 * track.length
        needed = {"entry": 0.1, "start": 0.3, "split": 0.3, "exit": 0.3, "view": 1.0}[track.origin]
        return track.travelled >= (needed if track.whole and share >= _PIECE else 1.0) * track.length

    def _sighting(self, track: Track, one: Look, now: BeltPosition) -> Sighting:
        assert track.number is not None
        return Sighting(track.number, now.frame, now.time, one.blob, one.along, one.across)

    def _passages(self, now: BeltPosition) -> list[Passage]:
        """Close tracks that passed the line, drop those that are gone; return the passages in the order of crossing."""
        assert self._first is not None
        passages: list[tuple[float, Passage]] = []
        kept = []
        for track in self._tracks:
            gone = self._gone(track, now)
            if track.number is not None and not track.closed and not (track.missed and not gone):
                passage = self._passage(track, now, gone)
                if passage is not None:
                    passages.append((passage.passed_time, passage))
                    track.closed = True
            if not gone:
                kept.append(track)
        self._tracks = kept
        return [passage for _, passage in sorted(passages, key=lambda pair: (pair[0], pair[1].fruit))]

    def _passage(self, track: Track, now: BeltPosition, gone: bool) -> Passage | None:
        lane = self._axes.lane(track.across)
        line = self._axes.decision_line(lane)
        if track.along < line or (gone and track.along <= self._view.high):
            return self._incomplete(track) if gone else None
        assert self._first is not None
        if track.origin != "entry" and start_of(track, self._first) >= line:
            return self._over(track, lane, "present at start", Crossing(now.frame, now.time, now.ticks))
        found = crossing(track, self._moments, line)
        self._learn_size(track)
        return self._over(track, lane, "decided", found)

    def _learn_size(self, track: Track) -> None:
        if track.sightings > 2:
            self._lengths = [*self._lengths[1 - _SIZES :], track.length]
            self._areas = [*self._areas[1 - _SIZES :], track.area]

    def _gone(self, track: Track, now: BeltPosition) -> bool:
        """Say whether nothing will be seen of a track again."""
        if not self._view.low - self._view.length < track.along - track.length / 2 <= self._view.high:
            return True
        if track.number is None and track.missed > max(_MISSED, track.sightings):
            return True  # a piece of a fruit, seen for a moment: what shows up there later is something else
        if track.missed <= _MISSED or now.time - track.seen.time <= self._config.missing_for:
            return False
        # What is over stays remembered until it has left the view: it must not be counted again.
        outside = track.along + track.length / 2 < self._view.low
        return not (track.closed or (track.number is not None and outside))

    def _incomplete(self, track: Track) -> Passage:
        last = track.seen
        lane = self._axes.lane(track.across)
        return self._over(track, lane, "incomplete", Crossing(last.frame, last.time, last.ticks))

    def _over(self, track: Track, lane: int, status: Status, at: Crossing) -> Passage:
        assert track.number is not None
        return Passage(
            track.number, lane, status, track.born.frame, track.born.time, at.frame, at.time, at.ticks,
            track.across, track.sightings, self._speed(),
        )  # fmt: skip
