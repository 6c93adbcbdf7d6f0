"""What is true of the simulated belt: each thing on it, and what each frame shows."""

from dataclasses import asdict, dataclass
from typing import Any

from mango_grader.line.observations import Blob
from mango_grader.line.simulator.traffic import Thing


@dataclass(frozen=True)
class Truth:
    """One thing that lay on the belt.

    Attributes:
        number: from 1, in the order in which things enter the image, fruit or not.
        kind: what it is.
        lane: from 1.
        grade: by the written rule on the whole skin; None for what is no fruit.
        severity: weighted defect area on the whole skin, in thumbs; 0 for what is no fruit.
        touching: whether it was laid against the one before it.
        sides: number of quarter turns, 1 to 4, that it shows while it crosses the image.
        length_mm: of the fruit; None for what is no fruit.
        width_mm: of the fruit; None for what is no fruit.
        entered_frame: index of the first frame in which its centre is in the image; None if it never is.
        entered_time: seconds at which its centre enters the image; negative if it was there at the start.
        passed_frame: index of the first frame in which its centre is beyond the decision line; None if it never is.
        passed_time: seconds at which its centre first reaches the decision line; None if it never does or was beyond.
        passed_ticks: encoder position at that moment; None without an encoder.
        across: position of its centre across the belt, in pixels.
        status: "decided", "incomplete" or "present at start", as for a `Passage`.
    """

    number: int
    kind: Thing
    lane: int
    grade: str | None
    severity: float
    touching: bool
    sides: int
    length_mm: float | None
    width_mm: float | None
    entered_frame: int | None
    entered_time: float
    passed_frame: int | None
    passed_time: float | None
    passed_ticks: float | None
    across: float
    status: str

    @property
    def is_fruit(self) -> bool:
        """Whether it is a fruit."""
        return self.kind == "mango"

    def to_row(self) -> dict[str, Any]:
        """Return one row of a table, seconds to the microsecond."""
        return {name: round(value, 6) if isinstance(value, float) else value for name, value in asdict(self).items()}


@dataclass(frozen=True, eq=False)
class Shown:
    """One thing as one frame shows it.

    Attributes:
        number: of the thing, as in its `Truth`.
        kind: what it is.
        blob: its visible pixels, as a perfect finder would return them.
        along: position of its centre along the belt, in pixels.
        across: position of its centre across the belt, in pixels.
    """

    number: int
    kind: Thing
    blob: Blob
    along: float
    across: float
