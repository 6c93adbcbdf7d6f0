"""Checkpoints of a running line, as often as they cost next to nothing."""

from dataclasses import asdict, dataclass, field, replace
from time import monotonic

from mango_grader.line.frame import Frame
from mango_grader.line.log.entries import Counted
from mango_grader.line.log.folder import Checkpoint
from mango_grader.line.log.writing import LogWriter
from mango_grader.line.loop import Loop
from mango_grader.line.sources import SourceCounts

_SHARE = 0.05  # of the time that checkpoints may take, at most


@dataclass
class Saver:
    """Writes checkpoints, and what happened to the frames of the source.

    Attributes:
        writer: of the log.
        loop: whose state is kept.
        frame: index of the first frame that the loop has not seen.
        every: frames between two checkpoints; more where one takes long. None writes them only when it is asked to:
            with deadlines, no fruit waits for one, and a killed run goes on by repeating its log from the beginning.
        again: whether the source can give frames again, so that the state of the pipeline is worth keeping.
    """

    writer: LogWriter
    loop: Loop
    frame: int
    every: int | None
    again: bool
    _frames: int = field(default=0, init=False)
    _rest_until: float = field(default=0.0, init=False)
    _counts: SourceCounts = field(default_factory=SourceCounts, init=False)

    def passed(self, frame: Frame, counts: SourceCounts) -> None:
        """Note that the loop has seen a frame, and write a checkpoint if it is time for one.

        Args:
            frame: that it has seen.
            counts: of the source.
        """
        self.frame = frame.index + 1
        self._frames += 1
        if self.every is None or self._frames < self.every or monotonic() < self._rest_until or self.writer.tail:
            return
        if self._lost_more(counts):
            self.writer.put([Counted(frame.index, asdict(counts))], sync=False)
        self.save()

    def save(self, *, ended: bool = False) -> None:
        """Write a checkpoint now.

        Args:
            ended: whether the run has ended.
        """
        start, loop = monotonic(), self.loop
        state = {
            "numbering": asdict(loop.pipeline.numbering), "tally": loop.tally.to_dict(),
            "model": loop.pipeline.graders.model,
            "pipeline": loop.pipeline.state() if self.again and not ended else None,
        }  # fmt: skip
        self.writer.save(Checkpoint(self.writer.position, self.frame, ended, state))
        self._frames, self._rest_until = 0, start + (monotonic() - start) / _SHARE

    def _lost_more(self, counts: SourceCounts) -> bool:
        known, now = self._counts, replace(counts, delivered=0, unreadable=0)  # Frames that cannot be read have lines.
        self._counts = now
        return now != known
