"""The line: frames in, one decision per fruit out, each in the log before anybody hears of it."""

import secrets
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from tempfile import TemporaryDirectory
from threading import Event

import cv2
import numpy as np
import onnxruntime

import mango_grader
from mango_grader import files
from mango_grader.errors import UsageError
from mango_grader.line.config import LineConfig
from mango_grader.line.decision import Decision
from mango_grader.line.frame import Frame
from mango_grader.line.graders import Graders
from mango_grader.line.grading import FruitGrader
from mango_grader.line.log.chain import Position
from mango_grader.line.log.entries import Ended, Resumed, Started
from mango_grader.line.log.folder import LogFolder
from mango_grader.line.log.writing import LogWriter, Tail, locked_log
from mango_grader.line.loop import Loop, Observer
from mango_grader.line.models import Models, ModelWatch, as_configured
from mango_grader.line.outlets import OutletMap
from mango_grader.line.pace import Hurried, LineClock, Pace, Repeated, Unhurried
from mango_grader.line.pipeline import Numbering, Pipeline
from mango_grader.line.saver import Saver
from mango_grader.line.sinks import Deliveries, DeliveryState, RunInfo, Sink
from mango_grader.line.sources import Source
from mango_grader.line.starting import Start, find_start
from mango_grader.line.tally import Tally, lost
from mango_grader.runtime.inference.grader import Grader

_LIVE_FRAMES = 500  # between two checkpoints of a camera, whose frames do not come again
_DRAIN_S = 10.0  # seconds that sinks have at the end


@dataclass(frozen=True)
class LineOptions:
    """How a line is run.

    Attributes:
        lot: name of the lot, for every row.
        run: unique name of the run, with which the ids of its decisions begin; None makes one of day and time.
        resume: whether to go on with the log, if there is one.
        realtime: whether decisions have deadlines; frames of a file then come at their own times.
        checkpoint_frames: frames between two checkpoints, 1 or more.
    """

    lot: str = ""
    run: str | None = None
    resume: bool = False
    realtime: bool = False
    checkpoint_frames: int = 50


class Line:
    """Yields one decision for each fruit, in the order in which fruit pass the decision line.

    Every decision is in the log, and on the disk, before it is yielded and before any sink hears of it. A run that was
    killed goes on with `resume`: it yields what the log does not hold yet, and the log holds in the end what that of a
    run holds that nobody killed. That is so for a source that ends by itself. With a camera, `resume` goes on with the
    numbers, and the fruit that were on the belt meanwhile are lost.

    Args:
        source: of the frames.
        grader: the model, whose file may be replaced while the line runs. Exit policy and decision rule are those of
            the configuration, whatever the grader was loaded with.
        config: of the line.
        log: folder of the log; None keeps it as long as the line runs.
        sinks: that get the decisions, each in its own time.
        observers: that see every frame.
        options: how the line is run.

    Attributes:
        tally: of what happened so far, before an interruption included.
        deliveries: how far each sink had come when the run ended.

    Raises:
        UsageError: the configuration does not fit the model.

    Example:
        ```python
        from mango_grader.line import open_source, read_config

        source, grader = open_source("belt.avi"), Grader.load("model.mango")
        for decision in Line(source, grader, read_config("line.toml"), log="today.log"):
            print(decision.id, decision.lane, decision.grade, decision.outlet)
        ```
    """

    def __init__(
        self,
        source: Source,
        grader: Grader,
        config: LineConfig,
        *,
        log: str | None = None,
        sinks: Sequence[Sink] = (),
        observers: Sequence[Observer] = (),
        options: LineOptions = LineOptions(),
    ) -> None:
        grader = as_configured(grader, config.grading)
        FruitGrader(grader, config.axes, config.crops, config.grading)  # What cannot be used is refused before any log.
        OutletMap(config.outlets, grader.manifest.classes, config.axes)
        self.tally = Tally()
        self.deliveries: tuple[DeliveryState, ...] = ()
        self._source, self._grader, self._config, self._options = source, grader, config, options
        self._log, self._sinks, self._observers = log, tuple(sinks), tuple(observers)
        self._clock = LineClock(runs=options.realtime or not source.finite)
        self._asked, self._waiting = Event(), False

    def stop(self) -> None:
        """End the run after the frame that is in work; called in a signal handler or another thread.

        Raises:
            KeyboardInterrupt: the line works on no frame, but waits for one.
        """
        self._asked.set()
        if self._waiting:
            raise KeyboardInterrupt

    def __iter__(self) -> Iterator[Decision]:
        with ExitStack() as stack:
            log = LogFolder(self._log if self._log is not None else stack.enter_context(TemporaryDirectory()))
            stack.enter_context(locked_log(log))
            start = self._start(log)
            tail = Tail(start.again, str(log.chain))
            writer = stack.enter_context(closing(LogWriter(log, start.end, tail)))
            models = Models(self._config, log, self._grader.model.provider, self._grader.model.precision)
            models.keep(self._grader)
            if not start.end.lines:
                writer.put([start.started])
            elif not start.ended:
                now, finite = _now(), start.started.finite
                writer.put([Resumed(start.frame, not finite, now, start.model)])
            self.tally = start.tally
            folder = str(log.sinks)
            run = RunInfo(
                start.started.run, start.started.classes, folder, self._clock.now,
                figures=lambda: (*self.tally.figures(), *deliveries.figures()),
            )  # fmt: skip
            deliveries = Deliveries(self._sinks, log.reader, run)
            stack.enter_context(deliveries)
            deliveries.announce(start.decisions)
            if not start.ended:
                for decision in self._run(stack, self._loop(stack, start, writer, models), start, writer):
                    deliveries.announce(decision.sequence)
                    yield decision
            deliveries.drain(_DRAIN_S)
            self.deliveries = deliveries.states()

    def _start(self, log: LogFolder) -> Start:
        started = self._started()
        if not log.exists():
            numbering = Numbering(started.run, started.lot)
            log.checkpoint_file.unlink(missing_ok=True)  # Of a log that somebody took away.
            return Start(started, started.model, numbering, Tally(), Position())
        if not self._options.resume:
            raise UsageError(f"{log.path} exists; add --resume to continue it, or choose another --out")
        start = find_start(log)
        names = ["lot", "finite", "realtime", "classes", "config"]
        names += ["settings"] if started.model == start.started.model else []  # Policies of another model are others.
        names += ["source"] if self._source.finite else []
        names += [] if self._options.run is None else ["run"]
        kept, now = start.started.to_dict(), started.to_dict()
        if differs := [name for name in names if files.to_json(kept[name]) != files.to_json(now[name])]:
            raise UsageError(f"{log.path} was made with another {differs[0]}; choose another --out")
        return start

    def _started(self) -> Started:
        grader, options = self._grader, self._options
        libraries = {"numpy": np.__version__, "onnxruntime": onnxruntime.__version__, "opencv": cv2.__version__}
        return Started(
            run=options.run or f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}",
            lot=options.lot,
            source=self._source.name,
            finite=self._source.finite,
            realtime=options.realtime,
            model=grader.bundle.digest,
            settings={
                "provider": grader.model.provider,
                "precision": grader.model.precision,
                "policy": str(grader.policy),
                "decide": str(grader.rule),
            },
            classes=grader.manifest.classes,
            config=self._config.to_dict(),
            versions={"mango-grader": mango_grader.__version__, **libraries},
            created=_now(),
        )

    def _loop(self, stack: ExitStack, start: Start, writer: LogWriter, models: Models) -> Loop:
        graders = Graders(start.model, models.grader(start.model))
        pipeline = Pipeline(self._config, start.started.classes, graders, start.numbering)
        if start.state is not None:
            pipeline.restore(start.state, models.grader)
        pace: Pace = Unhurried()
        if self._options.realtime:
            self._grader.stage_times()  # Measured now, not within the time of the first fruit.
            pace = Repeated(writer.tail, Hurried(self._clock, self._config.grading.deadline_ms / 1e3))
        watch = stack.enter_context(ModelWatch(self._grader.bundle.path, start.started.classes, models))
        return Loop(pipeline, pace, writer, models, start.tally, watch, self._observers)

    def _run(self, stack: ExitStack, loop: Loop, start: Start, writer: LogWriter) -> Iterator[Decision]:
        counts, finite, before = self._source.counts, self._source.finite, start.tally.lost
        every = self._options.checkpoint_frames if finite else max(self._options.checkpoint_frames, _LIVE_FRAMES)
        quiet = self._options.realtime and finite
        saver = Saver(writer, loop, start.frame, None if quiet else every, again=finite)
        for frame in self._frames(stack, start, writer.tail):
            yield from loop.step(frame)
            loop.tally.lost = before + lost(counts)
            saver.passed(frame, counts)
            if self._asked.is_set():
                break
        if self._asked.is_set() and finite:
            saver.save()
            return
        yield from loop.close()
        writer.tail.check_over()
        loop.tally.lost = before + lost(counts)
        writer.put([Ended(loop.tally.frames, loop.pipeline.numbering.sequence, asdict(counts))])
        saver.save(ended=True)

    def _frames(self, stack: ExitStack, start: Start, tail: Tail) -> Iterator[Frame]:
        """Yield frames, at their own times where a file has deadlines, until the source ends or `stop` is called."""
        frames = self._source.frames(start.frame)
        stack.callback(getattr(frames, "close", lambda: None))
        paced = self._options.realtime and self._source.finite
        while not self._asked.is_set():
            try:
                self._waiting = True
                frame = next(frames, None)
                if frame is not None and paced and not tail:
                    self._clock.wait_for(frame)
            except KeyboardInterrupt:
                if not self._asked.is_set():
                    raise
                return
            finally:
                self._waiting = False
            if frame is None:
                return
            self._clock.arrived(frame)
            yield frame


def _now() -> str:
    """Return the time of day, for people: nothing is computed of it."""
    return datetime.now(UTC).isoformat(timespec="seconds")
