"""Fruit that carry several labels: images that belong together and have different ones. No model is asked."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mango_grader.datasets.duplicates import merge_groups
from mango_grader.datasets.relations import Relations

__all__ = ["Contradictions", "find_contradictions"]

_MOST = 0.2
"""Where more than this share of the given groups of several images have several labels, groups are no single fruit: a
group is then a day, a plant or a crate."""


@dataclass(frozen=True)
class Contradictions:
    """Fruit with several labels.

    Attributes:
        groups: N group names, one for each item: images of one fruit share one, and so do those of one given group.
        sets: two or more item indices each, in item order: one fruit, several labels.
        groups_are_fruit: whether given groups count as fruit; if not, only images that look alike do.
    """

    groups: tuple[str, ...]
    sets: tuple[tuple[int, ...], ...]
    groups_are_fruit: bool


def find_contradictions(relations: Relations) -> Contradictions:
    """Return the fruit whose images have different labels.

    Images show one fruit if they are near-duplicates, if their local features agree, or if they are of one given
    group, unless these groups are evidently none of single fruit.

    Args:
        relations: which images of a data set belong together.
    """
    dataset = relations.dataset
    pairs = relations.near.pairs
    if relations.fruit is not None:
        pairs = np.concatenate([pairs, relations.fruit.matches.pairs])
    given = _members(dataset.groups)
    divided = [group for group in given if _contradicts(group, dataset.labels)]
    are_fruit = len(divided) <= _MOST * len(given)
    alike = merge_groups(dataset.groups if are_fruit else dataset.paths, pairs)
    sets = [found for found in _members(alike) if _contradicts(found, dataset.labels)]
    return Contradictions(tuple(merge_groups(dataset.groups, pairs)), tuple(sets), are_fruit)


def _members(groups: Sequence[str]) -> list[tuple[int, ...]]:
    """Return the item indices of each group of two or more."""
    members = defaultdict[str, list[int]](list)
    for item, group in enumerate(groups):
        members[group].append(item)
    return [tuple(found) for found in members.values() if len(found) > 1]


def _contradicts(found: Sequence[int], labels: NDArray[np.int64]) -> bool:
    return len(np.unique(labels[list(found)])) > 1
