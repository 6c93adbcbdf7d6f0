"""Where a run begins: at its first frame, or where an earlier process was killed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mango_grader.line.log.chain import Link, Position
from mango_grader.line.log.entries import Counted, Decided, Ended, Entry, ModelChanged, Started, Unreadable, Worked
from mango_grader.line.log.folder import Checkpoint, LogFolder
from mango_grader.line.pipeline import Numbering
from mango_grader.line.tally import Tally


@dataclass(frozen=True)
class Start:
    """Where a run begins.

    Attributes:
        started: the first entry of its log.
        model: digest of the model that new fruit are graded with.
        numbering: of fruit and decisions.
        tally: of what happened before.
        end: of the log.
        frame: index of the first frame to look at.
        state: of the pipeline; None is a new one.
        again: lines that the run comes by again.
        decisions: number of decisions in the log.
        ended: whether the run has ended already.
    """

    started: Started
    model: str
    numbering: Numbering
    tally: Tally
    end: Position
    frame: int = 0
    state: Mapping[str, Any] | None = None
    again: Sequence[tuple[Link, Entry]] = ()
    decisions: int = 0
    ended: bool = False


def find_start(folder: LogFolder) -> Start:
    """Return where the run of a log goes on.

    A finite source gives the frames behind the last checkpoint once more. For a camera they are gone: the numbers go
    on, and everything else begins anew.

    Args:
        folder: of the log.

    Raises:
        FormatError: a line was changed, is missing or repeated.
    """
    started, saved = folder.started, folder.checkpoint() or Checkpoint(Position())
    lines = list(folder.entries(saved.position))
    end = lines[-1][0].end if lines else saved.position
    kept = saved.state or {"numbering": {"run": started.run, "lot": started.lot}, "tally": {}, "model": started.model}
    numbering, tally = Numbering(**kept["numbering"]), Tally.from_dict(kept["tally"])
    model, last = kept["model"], numbering.sequence
    decisions = max((one.decision.sequence for _, one in lines if isinstance(one, Decided)), default=last)
    if started.finite:
        ended = saved.ended or any(isinstance(one, Ended) for _, one in lines)
        if ended:
            for _, entry in lines:
                _count(entry, tally, numbering)
        return Start(started, model, numbering, tally, end, saved.frame, kept.get("pipeline"), lines, decisions, ended)
    frame = saved.frame
    for _, entry in lines:
        _count(entry, tally, numbering)
        model = entry.model if isinstance(entry, ModelChanged) else model
        frame = max(frame, _frame(entry) + 1)
    numbering.fruit_before = numbering.fruit
    return Start(started, model, numbering, tally, end, frame, decisions=decisions)


def _count(entry: Entry, tally: Tally, numbering: Numbering) -> None:
    if isinstance(entry, Decided):
        tally.add(entry.decision)
        numbering.sequence = entry.decision.sequence
        numbering.fruit = max(numbering.fruit, entry.decision.fruit)
    elif isinstance(entry, Unreadable):
        tally.unreadable += 1
    elif isinstance(entry, Ended):
        tally.frames = entry.frames


def _frame(entry: Entry) -> int:
    if isinstance(entry, Decided):
        return entry.decision.decided_frame
    return entry.frame if isinstance(entry, Worked | Unreadable | Counted | ModelChanged) else -1
