"""What a comparison says of each entry: means over its runs, and paired differences to other entries."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from mango_grader.runtime.bundle.guessing import Guessing
from mango_grader.training.bootstrap import Difference, Estimate


@dataclass(frozen=True)
class MeanSd:
    """Mean and standard deviation of one figure over runs.

    Attributes:
        mean: mean over the runs.
        sd: standard deviation over the runs (n − 1); None for a single run.
    """

    mean: float
    sd: float | None


@dataclass(frozen=True)
class MeanExit:
    """One exit over the runs of an entry.

    Attributes:
        accuracy: accuracy on test images, 0..1.
        validation: accuracy on validation images, 0..1.
        macs: multiply-adds for one image, up to and with this exit.
        params: parameters up to and with this exit.
    """

    accuracy: MeanSd
    validation: MeanSd
    macs: MeanSd
    params: MeanSd


@dataclass(frozen=True)
class PairedDifference:
    """How far an entry's last exit is ahead of another entry's, on the test images that both answered.

    Attributes:
        name: the other entry.
        difference: share of correct answers of this entry minus that of the other, −1..1.
        images: number of test images in the pairs; "pictures" in comparison.json.
    """

    name: str
    difference: Difference
    images: Annotated[int, Field(alias="pictures")]


@dataclass(frozen=True, kw_only=True)
class RankedEntry:
    """One entry of a comparison, over all its finished runs.

    Attributes:
        name: METHOD/SPACE, or a baseline's name.
        runs: number of finished runs.
        exits: figures of each exit, the first exit first.
        validated: number of validation images of all runs.
        pooled: accuracy of the last exit over all test images of all runs, with its interval over groups.
        images: number of those test images; "pictures" in comparison.json.
        groups: number of their groups (fruit).
        area: mean accuracy over budgets from 0 to one horizon of multiply-adds, the same for all entries. A budget
            below the first exit scores 0, one beyond the last exit scores the last exit's accuracy.
        search_s: seconds up to the network, over the runs that nothing interrupted; None if there is no such run.
        train_s: seconds of the training, over the same runs.
        whole_s: seconds of the whole run, over the same runs.
        to_best: difference to the entry that is best on validation images; None for that entry.
        to_random: difference to random search; None for random search and where it was not compared.
        guessing: the pooled accuracy beside that of always answering the commonest class; None where runs did not
            record it.
        unmoved: number of runs whose search did not move.
    """

    name: str
    runs: int
    exits: tuple[MeanExit, ...]
    validated: int
    pooled: Estimate
    images: Annotated[int, Field(alias="pictures")]
    groups: int
    area: MeanSd
    search_s: MeanSd | None
    train_s: MeanSd | None
    whole_s: MeanSd | None
    to_best: PairedDifference | None
    to_random: PairedDifference | None
    guessing: Guessing | None = None
    unmoved: int = 0
