"""A hot folder: a camera's program writes images into it while the line runs."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic

from watchfiles import watch

from mango_grader.errors import UsageError
from mango_grader.line.frame import Frame
from mango_grader.line.sources.base import Order, SourceCounts
from mango_grader.line.sources.ending import Ending
from mango_grader.line.sources.folder import image_names, is_image, number_in, read_frame
from mango_grader.line.sources.stamps import Stamp, stamp_of_name
from mango_grader.text import natural_key

SETTLE = 0.2
"""Seconds for which size and time of a file must hold still, unless told otherwise."""

PATIENCE = 1.0
"""Seconds without a change after which a file that is empty or cannot be read is taken for damaged."""

_RESCAN = 1.0  # seconds at most between two looks, for shares that send no events


@dataclass(frozen=True)
class _Seen:
    """A file that waits: size and time, when it was seen first, and since when it holds still, in monotonic seconds."""

    state: tuple[int, int]
    first: float
    since: float


class HotFolder:
    """A folder into which images are written while it is read; sub-folders are left alone.

    Changes are seen by events and by looking again each second. A file counts once, when its size and time have held
    still; until then it and all that are named after it wait. A file that is empty or torn is waited for another
    second before it is a frame with an error. Files may be removed at any time.

    Times come from `fps` and the numbers in names, else from the names, as in `FrameFolder`, and images that are there
    at the beginning are frames too. Where neither tells, a frame's time is when it was seen first on the monotonic
    clock, and what is there at the beginning is left out, for nobody knows when it came.

    Args:
        path: of the folder.
        fps: frames per second.
        settle: seconds for which size and time of a file must hold still.
        stop_after: ends after that many seconds without a new frame; None never does.
        stop_file: path of a file; the source ends when there is one.

    Attributes:
        name: the path.
        finite: False.
        counts: what happened to its frames so far.

    Raises:
        UsageError: there is no such folder.

    Example:
        ```python
        for frame in HotFolder("belt", fps=30, stop_after=0.5).frames():
            print(frame.index, frame.name)
        ```
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        fps: float | None = None,
        *,
        settle: float = SETTLE,
        stop_after: float | None = None,
        stop_file: str | os.PathLike[str] | None = None,
    ) -> None:
        self.name, self.finite, self.counts = str(path), False, SourceCounts()
        self._folder, self._fps, self._settle = Path(path), fps, settle
        self._stop_after, self._stop_file = stop_after, stop_file
        self._ending = Ending()
        if not self._folder.is_dir():
            raise UsageError(f"{path}: no such folder")

    def __len__(self) -> int:
        """Return 0: nobody knows how many images will come."""
        return 0

    def stop(self) -> None:
        """End the frames soon; any thread may."""
        self._ending.told.set()

    def frames(self, start: int = 0) -> Iterator[Frame]:
        """Yield frames, see `Source.frames`; where names tell their numbers, `start` leaves out earlier ones."""
        self._ending = Ending(self._stop_after, self._stop_file)
        return self._frames(start, self._ending)

    def _frames(self, start: int, ending: Ending) -> Iterator[Frame]:
        order, stamps = Order(self.counts, start), _Stamps(self._fps, start)
        waiting, done = _Waiting(self._folder, self._settle), set[str]()
        scanned: float | None = None
        for changed in self._watched(ending):
            last = ending.reached()
            if scanned is None or last or monotonic() - scanned >= _RESCAN:
                files = self._scan()
                if scanned is None and not stamps.told(files):
                    done.update(files)
                done.intersection_update(files)
                scanned = monotonic()
            else:
                files = [name for name in changed if is_image(name)]
            waiting.add([name for name in files if name not in done])
            for name, first_seen in waiting.settled():
                stamp = stamps.stamp(name, first_seen)
                frame = read_frame(self._folder / name, stamp)
                if waiting.doubtful(name, frame):
                    break
                waiting.remove(name)
                done.add(name)
                stamps.take(name, stamp)
                if order.accepts(frame.index, frame.time):
                    ending.hear()
                    yield self.counts.deliver(frame)
            if ending.told.is_set() or (last and not waiting):
                return

    def _watched(self, ending: Ending) -> Iterator[list[str]]:
        """Yield whenever it is time to look at files: those that changed, or none when a pause is over."""
        pause = max(10, round(500 * min(_RESCAN, self._settle)))
        looks = watch(
            self._folder, recursive=False, stop_event=ending.told, rust_timeout=pause, yield_on_timeout=True,
            debounce=100, step=10,
        )  # fmt: skip
        for changes in looks:
            yield [Path(path).name for _, path in changes]

    def _scan(self) -> list[str]:
        try:
            return image_names(self._folder)
        except UsageError:  # A share that is away for a while comes back.
            return []


class _Waiting:
    """The files that were seen and are not frames yet.

    Args:
        folder: that holds them.
        settle: seconds for which size and time of a file must hold still.
    """

    def __init__(self, folder: Path, settle: float) -> None:
        self._folder, self._settle = folder, settle
        self._files: dict[str, _Seen] = {}

    def __bool__(self) -> bool:
        return bool(self._files)

    def add(self, names: Iterable[str]) -> None:
        """Let files wait, in natural order of their names."""
        for name in sorted(names, key=natural_key):
            if name not in self._files and (state := self._state(name)) is not None:
                now = monotonic()
                self._files[name] = _Seen(state, now, now)

    def remove(self, name: str) -> None:
        """Forget a file."""
        self._files.pop(name, None)

    def settled(self) -> Iterator[tuple[str, float]]:
        """Yield files that have held still with when each was seen first, in natural order, up to one that has not."""
        for name in sorted(self._files, key=natural_key):
            if self._still(name):
                yield name, self._files[name].first
            elif name in self._files:
                return

    def doubtful(self, name: str, frame: Frame) -> bool:
        """Return whether a file has changed while it was read, or cannot be read and may not be whole yet."""
        if not self._still(name):
            return name in self._files
        return frame.error is not None and monotonic() - self._files[name].since < PATIENCE

    def _still(self, name: str) -> bool:
        """Return whether a file has held still; forget it if it is gone."""
        seen, state = self._files[name], self._state(name)
        if state is None:
            self.remove(name)
            return False
        if state != seen.state:
            self._files[name] = _Seen(state, seen.first, monotonic())
            return False
        return monotonic() - seen.since >= (self._settle if state[0] else max(self._settle, PATIENCE))

    def _state(self, name: str) -> tuple[int, int] | None:
        try:
            found = os.stat(self._folder / name)  # noqa: PTH116
        except OSError:
            return None
        return found.st_size, found.st_mtime_ns


class _Stamps:
    """Index and time of one file after the other.

    Args:
        fps: frames per second, None where names or arrival tell the times.
        start: index of the first frame whose name tells no number.
    """

    def __init__(self, fps: float | None, start: int) -> None:
        self._fps, self._start = fps, start
        self._pattern: tuple[str, int] | None = None
        self._last: Stamp | None = None

    def told(self, names: Iterable[str]) -> bool:
        """Return whether times of files do not depend on when these came."""
        return self._fps is not None or all(stamp_of_name(name) is not None for name in names)

    def stamp(self, name: str, seen: float) -> Stamp:
        """Return the stamp of the file that comes next.

        Args:
            name: of the file.
            seen: when it was seen first, in monotonic seconds.
        """
        last, told = self._last, None if self._fps is not None else stamp_of_name(name)
        index = (0 if self._fps is not None else self._start) if last is None or last.index is None else last.index + 1
        if self._fps is not None:
            found = number_in(name)
            if found is not None and self._pattern in (None, found[:2]):
                index = found[2]
            return Stamp(index / self._fps, index)
        if told is not None:
            return told if told.index is not None else replace(told, index=index)
        return Stamp(seen, index)

    def take(self, name: str, stamp: Stamp) -> None:
        """Note that a file with its stamp became a frame."""
        found = number_in(name)
        if self._pattern is None and found is not None:
            self._pattern = found[:2]
        self._last = stamp
