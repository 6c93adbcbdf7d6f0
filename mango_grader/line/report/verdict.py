"""What is wrong with a lot, in sentences that say what to do."""

from collections.abc import Sequence

import numpy as np

from mango_grader.line.report.figures import LotFigures
from mango_grader.text import counted

BELT_LIMIT = 6.0
"""ΔE*ab of the belt beyond which colours, and so grades, may have shifted; two colours side by side differ from 2.3."""

_MANY_FOR_REVIEW = 0.2
_LASTING_S = 7
_FRAMES = {
    "dropped": ("dropped, for the line was slower than the camera", "Use a smaller model or image, or fewer frames."),
    "missing": ("never received", "Look at the camera, its cable and its program."),
    "out_of_order": ("left out, for they came after a later one", "Look at how they are named and written."),
    "without_ticks": ("without the encoder's ticks", "Look at the PLC and the network."),
}


def what_is_wrong(lot: LotFigures) -> list[str]:
    """Return a sentence or two about each thing that somebody should look at, the worst first; none if all is well.

    Args:
        lot: its figures.
    """
    wrong = []
    if lot.broken is not None:
        wrong.append(f"The log is damaged, and everything below stops there: {lot.broken}.")
    elif not lot.ended:
        wrong.append("The run has not ended: it goes on, or it was interrupted. `conveyor run --resume` finishes it.")
    if not lot.fruit:
        wrong.append("No fruit passed the decision line. Look at the slit scan, and calibrate again.")
    if lot.late:
        wrong.append(f"{_of(lot, lot.late)} decided too late for their outlet. See Latency.")
    if lot.ungraded:
        wrong.append(f"{_of(lot, lot.ungraded)} without a grade. Their rows say why.")
    if lot.unreadable:
        wrong.append(f"{counted(lot.unreadable, 'frame')} could not be read. See Frames.")
    for name, (what, advice) in _FRAMES.items():
        if count := lot.counts[name]:
            wrong.append(f"{counted(count, 'frame')} {what}. {advice}")
    if count := lot.counts["reconnects"]:
        wrong.append(f"The camera was lost and found again {counted(count, 'time')}; fruit may have passed unseen.")
    worst = _lasting([drift for _, drift in lot.belt_drift])
    if worst > BELT_LIMIT:
        wrong.append(f"The colour of the belt moved by ΔE {worst:.1f}. Look at the light, and clean belt and lens.")
    if lot.fruit and lot.review > _MANY_FOR_REVIEW * lot.fruit:
        wrong.append(f"{_of(lot, lot.review)} for review, which is many. Are these fruit like those of the training?")
    if lot.gaps:
        wrong.append(f"The line stood still {counted(lot.gaps, 'time')} while fruit may have passed. See Frames.")
    if lot.refused:
        wrong.append("A new model was refused, and the line went on with the one before. See Frames.")
    return wrong


def _lasting(drift: Sequence[float]) -> float:
    """Return the greatest median of some seconds, for one crowded frame or a shadow is no drift."""
    starts = range(max(1, len(drift) - _LASTING_S + 1)) if drift else ()
    return max((float(np.median(drift[start : start + _LASTING_S])) for start in starts), default=0.0)


def _of(lot: LotFigures, count: int) -> str:
    return f"{count:,} of {lot.fruit:,} fruit ({100 * count / max(lot.fruit, 1):.1f} %)"
