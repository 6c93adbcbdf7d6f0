"""Images of the same fruit, as an inspection reports and shows them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from mango_grader.datasets.inspection.check import Check, Evidence, Paths, several
from mango_grader.datasets.same_fruit import FruitMatches
from mango_grader.text import counted

__all__ = ["DRAWN_PAIRS", "MatchedPair", "SameFruit"]

DRAWN_PAIRS = 60
"""So many pairs of images of the same fruit are drawn with their features."""


@dataclass(frozen=True)
class MatchedPair:
    """Two images of the same fruit.

    Attributes:
        paths: of both.
        inliers: number of local features that agree on one motion.
        points: places of these features, (x, y) in the first image and (x, y) in the second, as shares of the longer
            side; empty beyond the first `DRAWN_PAIRS` pairs.
    """

    paths: Paths
    inliers: int
    points: tuple[tuple[float, ...], ...] = ()


@dataclass(frozen=True)
class SameFruit(Check):
    """Images of the same fruit, near-duplicates apart, and where they lie.

    Attributes:
        same_fruit: pairs; the least certain, those with the fewest inliers, first.
        fruit_across_classes: those that lie in several classes.
        fruit_across_parts: those that lie in several given parts.
        fruit_across_groups: those that lie in several groups, where groups were given.
        too_large: a line for each set of images that seem to show one fruit and are too many to believe.
        skipped: what was not compared because there are too many images, a line each.
        unchecked: the same where groups were given, so that nothing depends on it.
    """

    same_fruit: tuple[MatchedPair, ...]
    fruit_across_classes: tuple[Paths, ...]
    fruit_across_parts: tuple[Paths, ...]
    fruit_across_groups: tuple[Paths, ...]
    too_large: tuple[str, ...]
    skipped: tuple[str, ...] = ()
    unchecked: tuple[str, ...] = ()

    @classmethod
    def of(cls, evidence: Evidence) -> Self:
        """Return what local features show."""
        dataset, relations = evidence.dataset, evidence.relations
        matches = relations.fruit_only
        rows = np.argsort(matches.inliers, kind="stable").tolist()
        pairs = [(int(first), int(second)) for first, second in matches.pairs[rows]]

        def lying_in(values: Sequence[object]) -> tuple[Paths, ...]:
            return evidence.named(pair for pair in pairs if several(pair, values))

        return cls(
            same_fruit=tuple(
                MatchedPair(paths, int(matches.inliers[row]), _points(matches, row) if place < DRAWN_PAIRS else ())
                for place, (paths, row) in enumerate(zip(evidence.named(pairs), rows, strict=True))
            ),
            fruit_across_classes=lying_in(dataset.labels.tolist()),
            fruit_across_parts=lying_in(dataset.parts),
            fruit_across_groups=lying_in(dataset.groups) if dataset.grouping == "given" else (),
            too_large=relations.too_large,
            skipped=relations.skipped,
            unchecked=relations.unchecked,
        )

    def findings(self) -> Iterator[str]:
        """Name pairs on both sides of a line, sets that are too large, and what was not compared."""
        for pairs, where in (
            (self.fruit_across_classes, "different classes: a label may be wrong"),
            (self.fruit_across_parts, "different parts: test accuracy will be too high"),
            (self.fruit_across_groups, "different groups: test accuracy may be too high"),
        ):
            if pairs:
                lying = counted(len(pairs), "pair of one fruit lies", "pairs of one fruit lie")
                yield f"{lying} in {where} ({', '.join(pairs[0])})"
        yield from self.too_large
        yield from self.skipped

    def notes(self) -> Iterator[str]:
        """Say what a split does about them, and what was not checked."""
        yield from self.unchecked
        if self.same_fruit:
            pairs = counted(len(self.same_fruit), "pair of images shows", "pairs of images show")
            yield f"{pairs} the same fruit; unless groups are given, a split keeps each fruit in one part"

    def to_dict(self) -> dict[str, Any]:
        """Return the pairs without the places of their features."""
        pairs = [{"paths": pair.paths, "inliers": pair.inliers} for pair in self.same_fruit]
        return {**super().to_dict(), "same_fruit": pairs}


def _points(matches: FruitMatches, row: int) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(map(float, point)) for point in matches.points_of(row))
