"""Makes the decisions of a log again from recorded frames, bit for bit."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from mango_grader.errors import FormatError, UsageError
from mango_grader.line.config import LineConfig
from mango_grader.line.frame import Frame
from mango_grader.line.graders import Graders
from mango_grader.line.log.entries import Ended, Entry, Resumed, Unreadable
from mango_grader.line.log.folder import LogFolder
from mango_grader.line.log.writing import Tail
from mango_grader.line.loop import Loop
from mango_grader.line.models import Models
from mango_grader.line.pace import Repeated, Unhurried
from mango_grader.line.pipeline import Numbering, Pipeline
from mango_grader.line.recording import part
from mango_grader.line.sources import Source, open_source
from mango_grader.line.tally import Tally
from mango_grader.progress import Progress, SilentProgress


@dataclass(frozen=True)
class _Stretch:
    """What one process saw, or several that went on with the same frames.

    first, last: numbers of its lines, from 1. frame, end: indices of its first frame, and behind its last one. ended:
    whether the source's end, or a person, ended it, and not a kill.
    """

    first: int
    last: int
    frame: int
    end: int | None
    model: str
    ended: bool


def replay(
    log: LogFolder, frames: str | None = None, model: str | None = None, progress: Progress | None = None
) -> Tally:
    """Make the decisions of a log again, and compare every one of them, and all that led to it.

    How far grading came in the time that it had is taken from the log, too: what is repeated is the arithmetic.

    Args:
        log: of the run.
        frames: folder of the recording, or whatever gives the same frames; None is the source of the run.
        model: path of the model; None takes the copy that the log keeps.
        progress: where to report to; None reports nowhere.

    Raises:
        UsageError: there are no frames, or it is another model.
        FormatError: something comes out differently; the message names the first line.

    Example:
        ```python
        from mango_grader.line import Line, Recording, read_config
        from mango_grader.runtime import Grader

        source = Recording(open_source("belt.avi"), "kept")
        list(Line(source, Grader.load("model.mango"), read_config("line.toml"), log="today.log"))
        print(replay(LogFolder("today.log"), "kept"))
        ```
    """
    started = log.started
    if frames is None and not started.finite:
        raise UsageError(f"{log.path} is of a camera; name the folder of its frames, which --record has kept")
    config = LineConfig.from_dict(started.config)
    models = Models(config, log, started.settings["provider"], started.settings["precision"])
    if model is not None:
        models.use(model)
    tally, numbering = Tally(), Numbering(started.run, started.lot)
    for stretch in list(_stretches(log)):
        graders = Graders(stretch.model, models.grader(stretch.model))
        pipeline = Pipeline(config, started.classes, graders, numbering)
        lines = islice(log.entries(), stretch.first - 1, stretch.last)
        compared = Compared(Tail(lines, str(log.chain)))
        pace = Repeated(compared.tail, None) if started.realtime else Unhurried()
        loop = Loop(pipeline, pace, compared, models, tally)
        source = _source(frames or started.source, stretch)
        with (progress or SilentProgress()).task("frames", len(source)) as task:
            for frame in _frames(log, source, stretch):
                if not (stretch.ended or compared.tail):
                    break  # It was killed here.
                loop.step(frame)
                task.advance(fruit=tally.fruit)
        if stretch.ended:
            loop.close()
        compared.tail.check_over()
        numbering.fruit_before = numbering.fruit
    return tally


class Compared:
    """A log that is only compared with what happens.

    Args:
        tail: of the log.
    """

    def __init__(self, tail: Tail) -> None:
        self.tail = tail

    def put(self, entries: Sequence[Entry], *, sync: bool = True) -> list[Entry]:
        """Compare entries with those of the log; raise `FormatError` where they differ."""
        for entry in entries:
            if not self.tail.match(entry):
                raise FormatError(f"{self.tail.where}: nothing is left in the log, and now there is a {entry.kind}")
        return []


def _stretches(log: LogFolder) -> Iterator[_Stretch]:
    started = log.started
    current, ended = _Stretch(1, 1, 0, None, started.model, ended=False), False
    for link, entry in log.entries():
        if isinstance(entry, Resumed) and entry.lost:
            yield replace(current, end=entry.frame, ended=ended)
            current = _Stretch(link.number, link.number, entry.frame, None, entry.model, ended=False)
        current, ended = replace(current, last=link.number), isinstance(entry, Ended)
    yield replace(current, ended=ended)


def _source(frames: str, stretch: _Stretch) -> Source:
    own = part(Path(frames), stretch.frame)
    return open_source(str(own) if own.is_dir() else frames)


def _frames(log: LogFolder, source: Source, stretch: _Stretch) -> Iterator[Frame]:
    """Yield the frames of a stretch; those that could not be read are as they were then."""
    errors = ((one.frame, one) for _, one in log.entries() if isinstance(one, Unreadable))
    wrong = {index: one for index, one in errors if index >= stretch.frame}
    for frame in source.frames(stretch.frame):
        if stretch.end is not None and frame.index >= stretch.end:
            return
        known = wrong.get(frame.index)
        yield frame if known is None else replace(frame, image=None, name=known.name, error=known.error)
