"""Holm's correction for several comparisons."""

from collections.abc import Sequence
from typing import Any


def correct_by_holm(gains: Sequence[dict[str, Any]]) -> None:
    """Add `p_holm` to each of several comparisons, which have their p-value as `p`."""
    for gain, corrected in zip(gains, holm([gain["p"] for gain in gains]), strict=True):
        gain["p_holm"] = corrected


def holm(values: Sequence[float]) -> list[float]:
    """Return p-values corrected for their number by Holm's method."""
    order = sorted(range(len(values)), key=lambda place: values[place])
    found, largest = [0.0] * len(values), 0.0
    for rank, place in enumerate(order):
        largest = max(largest, min(1.0, (len(values) - rank) * values[place]))
        found[place] = largest
    return found
