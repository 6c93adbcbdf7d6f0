"""Deals whole groups out to parts so that each part gets its share of every class."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["allocate"]


def allocate(
    labels: NDArray[np.int64], groups: Sequence[str], shares: Sequence[float], seed: Sequence[int]
) -> NDArray[np.int64]:
    """Return the part of each item, int64 (N,), items of one group together and classes in equal proportion.

    `shares` (P,) are positive and need not sum to 1. Greedy: groups that carry most of a class go first (equals in
    random order), each to the part that is relatively emptiest in the classes of the group, so a class of P or
    more groups reaches all P parts. Scikit-learn's StratifiedGroupKFold knows only equal parts. The same arguments
    give the same parts, whatever the order of the items.
    """
    names, codes = np.unique(np.array(groups, object), return_inverse=True)
    classes = int(labels.max(initial=-1)) + 1
    counts = np.zeros((len(names), classes))
    np.add.at(counts, (codes, labels), 1)
    totals = counts.sum(0)
    carried = counts / np.maximum(totals, 1)  # (groups, classes): the share of each class in each group
    portion = np.asarray(shares, float) / np.sum(shares)
    order = np.random.default_rng(list(seed)).permutation(len(names))
    order = order[np.argsort(-carried[order].max(1, initial=0), kind="stable")]
    filled = np.zeros((len(portion), classes))
    part_of = np.zeros(len(names), np.int64)
    for group in order:
        own = (filled @ carried[group]) / portion
        overall = filled.sum(1) / portion
        part = np.lexsort((-portion, overall.round(9), own.round(9)))[0]
        part_of[group] = part
        filled[part] += carried[group]
    result: NDArray[np.int64] = part_of[codes]
    return result
