"""What stands in the log of a line: one kind of entry for each kind of thing that happens."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Self

from mango_grader.errors import FormatError
from mango_grader.line.decision import Decision


@dataclass(frozen=True)
class Entry:
    """Base of all entries.

    Attributes:
        kind: by which it is read.
    """

    kind: ClassVar[str]

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {"kind": self.kind, **asdict(self)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Rebuild from `to_dict`, without the kind; raise `KeyError` or `TypeError` for anything else."""
        return cls(**values)


@dataclass(frozen=True)
class Started(Entry):
    """The first line: all that decisions depend on.

    Attributes:
        run: unique name of the run, with which the ids of its decisions begin.
        lot: name of the lot; "" where none was given.
        source: its name.
        finite: whether the source ends by itself.
        realtime: whether decisions have deadlines.
        model: digest of the model's manifest.
        settings: of the grading: provider, precision, exit policy and decision rule.
        classes: of the model, in its order.
        config: of the line, as in its file.
        versions: of the program and the libraries, by their names.
        created: the time of day, for people.
    """

    kind: ClassVar[str] = "start"
    run: str
    lot: str
    source: str
    finite: bool
    realtime: bool
    model: str
    settings: Mapping[str, str]
    classes: tuple[str, ...]
    config: Mapping[str, Any]
    versions: Mapping[str, str]
    created: str

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Rebuild from `to_dict`, without the kind."""
        return cls(**{**values, "classes": tuple(values["classes"])})


@dataclass(frozen=True)
class Resumed(Entry):
    """A killed or stopped run goes on.

    Attributes:
        frame: index of the first frame that is looked at again.
        lost: whether fruit may have passed unseen meanwhile, as before a camera; numbers of fruit go on behind the last
            one that was decided.
        created: the time of day, for people.
        model: digest of the model's manifest.
    """

    kind: ClassVar[str] = "resume"
    frame: int
    lost: bool
    created: str
    model: str


@dataclass(frozen=True)
class Unreadable(Entry):
    """A frame that could not be read.

    Attributes:
        frame: its index.
        name: of its file; "" where it has none.
        error: why.
    """

    kind: ClassVar[str] = "frame error"
    frame: int
    name: str
    error: str


@dataclass(frozen=True)
class Counted(Entry):
    """What happened to the frames of the source so far, written where something was lost.

    Attributes:
        frame: index of the last frame.
        counts: as in `SourceCounts`.
    """

    kind: ClassVar[str] = "counts"
    frame: int
    counts: Mapping[str, int]


@dataclass(frozen=True)
class Worked(Entry):
    """How far grading came in the time that one frame had, with `--realtime`.

    Attributes:
        frame: its index.
        lag: seconds from the frame to its decisions.
        work: for each model in flight, which views went through which stages, as `Work.to_list` has it.
    """

    kind: ClassVar[str] = "work"
    frame: int
    lag: float
    work: Sequence[Any]


@dataclass(frozen=True)
class Decided(Entry):
    """One decision, and the evidence for it.

    Attributes:
        decision: as every sink gets it.
        evidence: what the views of the fruit said, exit by exit, as `Evidence.to_dict` has it.
        digest: of the evidence.
    """

    kind: ClassVar[str] = "decision"
    decision: Decision
    evidence: Mapping[str, Any]
    digest: str

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Rebuild from `to_dict`, without the kind."""
        return cls(**{**values, "decision": Decision.from_dict(values["decision"])})


@dataclass(frozen=True)
class ModelChanged(Entry):
    """The file of the model was replaced; fruit that are already seen finish with the one before.

    Attributes:
        frame: index of the first frame whose new fruit are graded with the new model.
        model: digest of the new model's manifest.
    """

    kind: ClassVar[str] = "model"
    frame: int
    model: str


@dataclass(frozen=True)
class ModelRefused(Entry):
    """The file of the model was replaced by one that cannot be used; the line goes on with the one before.

    Attributes:
        frame: index of the frame at which that was noticed.
        error: why it cannot be used.
    """

    kind: ClassVar[str] = "model refused"
    frame: int
    error: str


@dataclass(frozen=True)
class Ended(Entry):
    """The last line: the source has ended, and every fruit has its decision.

    Attributes:
        frames: number of frames that were looked at.
        decisions: number of decisions.
        counts: what happened to the frames, as in `SourceCounts`.
    """

    kind: ClassVar[str] = "end"
    frames: int
    decisions: int
    counts: Mapping[str, int]


_KINDS: Mapping[str, type[Entry]] = {
    entry.kind: entry
    for entry in (
        *(Started, Resumed, Unreadable, Counted, Worked, Decided, ModelChanged, ModelRefused, Ended),
    )
}  # fmt: skip


def read_entry(values: Mapping[str, Any], where: str) -> Entry:
    """Rebuild an entry from `to_dict`.

    Args:
        values: of JSON's own types.
        where: begins the message of the error.

    Raises:
        FormatError: this version does not know such an entry.
    """
    try:
        return _KINDS[values["kind"]].from_dict({name: value for name, value in values.items() if name != "kind"})
    except (KeyError, TypeError):
        raise FormatError(f"{where} is of a kind that this version does not know") from None
