"""What ideas gain on the plain recipe, and which of them are followed beyond the first fold."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from benchmarks.lib.compared import outcomes_of, summary
from benchmarks.lib.gap.ideas import PLAIN
from mango_grader.workflow.comparison.outcomes import Outcome
from mango_grader.workflow.comparison.ranking import difference_between

HOPELESS = -0.05
"""A gain on the first fold's validation images; between folds, gains differ by 1 to 4 points (sd)."""


def gains(figures: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return where the ideas stand, and what each gains on the plain recipe on the folds that both have.

    Ideas on more folds come first; of equally many, the one that gains most on validation images.
    """
    outcomes = outcomes_of(figures)
    rows = [row | {"gain": gain_on_plain(row["name"], outcomes)} for row in summary(figures)]
    return sorted(rows, key=lambda row: (-row["runs"], -row["gain"]["validation"] if row["gain"] else 0.0))


def gain_on_plain(name: str, outcomes: Sequence[Outcome]) -> dict[str, Any] | None:
    """Return what the last exit gains on test, paired by images, and on validation; None without a common fold."""
    found = None if name == PLAIN else difference_between(name, PLAIN, outcomes)
    if found is None:
        return None
    own, plain = validated(name, outcomes), validated(PLAIN, outcomes)
    return asdict(found.difference) | {"n": found.images, "validation": _mean_gain(own, plain)}


def is_hopeless(name: str, figures: Mapping[str, Any]) -> bool:
    """Return whether the idea loses too much on the first fold's validation images to be followed further."""
    first = (f"{name}/1", f"{PLAIN}/1")
    outcomes = outcomes_of({each: figures[each] for each in first if each in figures})
    own, plain = validated(name, outcomes), validated(PLAIN, outcomes)
    return own.keys() == plain.keys() == {1} and _mean_gain(own, plain) < HOPELESS


def validated(name: str, outcomes: Sequence[Outcome]) -> dict[int, float]:
    """Return the last exit's accuracy on validation images, by fold."""
    mine = (each for each in outcomes if each.entry == name)
    return {each.repeat: each.figures.exits[-1].validation for each in mine if each.figures}


def _mean_gain(own: Mapping[int, float], plain: Mapping[int, float]) -> float:
    return float(np.mean([own[fold] - plain[fold] for fold in own.keys() & plain.keys()]))
