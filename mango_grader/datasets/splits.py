"""Train, validation and test parts that no group, no fruit and no near-duplicate crosses."""

import os
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mango_grader.datasets.dataset import PARTS, Dataset, Part
from mango_grader.errors import UsageError
from mango_grader.files import read_json, write_json
from mango_grader.progress import Progress
from mango_grader.text import counted

__all__ = ["MIN_GROUPS", "Shares", "Split", "assign_groups", "check_divisible", "make_split", "parse_fold"]

MIN_GROUPS = 5
"""A class needs this many groups, so that there are some to learn from, to choose by and to test on."""

_SCHEMA = 1


@dataclass(frozen=True)
class Shares:
    """What share of each class's images goes to each part; normalised to their sum.

    Attributes:
        train: above 0; what weights learn from.
        val: above 0; what settings, thresholds and temperatures are chosen by.
        test: above 0; what the report is measured on.
    """

    train: float = 0.65
    val: float = 0.15
    test: float = 0.20

    def __post_init__(self) -> None:
        if min(self.train, self.val, self.test) <= 0:
            raise UsageError(f"the shares of train, val and test must be positive, not {self}")


@dataclass(frozen=True)
class Split:
    """Which images of a data set are for what; images that cannot be read are in no part.

    Attributes:
        train: indices into the data set's items, ascending.
        val: the same.
        test: the same.
        groups: N group names, one for each item, those of related images merged: what to bootstrap over or to divide by
            again.
        findings: one line for each kind of image or group that lies on both sides of given parts, and for each set of
            images that is too large to be one fruit.
    """

    train: tuple[int, ...]
    val: tuple[int, ...]
    test: tuple[int, ...]
    groups: tuple[str, ...]
    findings: tuple[str, ...] = ()

    def save(self, path: str | os.PathLike[str], dataset: Dataset) -> None:
        """Write the parts as relative paths, and the groups that were merged, as JSON, whole or not at all."""
        paths = dataset.paths
        parts = {part: [paths[index] for index in getattr(self, part)] for part in PARTS}
        pairs = zip(dataset.items, self.groups, strict=True)
        joined = {item.path: group for item, group in pairs if group != item.group}
        write_json(path, {"schema": _SCHEMA, **parts, "joined": joined, "findings": list(self.findings)})

    @classmethod
    def load(cls, path: str | os.PathLike[str], dataset: Dataset) -> "Split":
        """Read what `save` wrote; images that came later, or that a review left out, are in no part.

        Args:
            path: the JSON file.
            dataset: holds the images that were split.

        Raises:
            UsageError: the file is no split, names an image twice, or one that `dataset` lacks.
        """
        index = {name: number for number, name in enumerate(dataset.paths)}
        try:
            values = read_json(path)
            parts = {part: [str(name) for name in values[part]] for part in PARTS}
            joined = {str(name): str(group) for name, group in values["joined"].items()}
            findings = tuple(str(line) for line in values["findings"])
            schema = values["schema"]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UsageError(f"{path} is not a saved split: {error!r}") from error
        if schema != _SCHEMA:
            raise UsageError(f"{path} is a split of schema {schema}; this version reads {_SCHEMA}")
        times = Counter(name for names in parts.values() for name in names)
        left_out = dataset.reviewed.left_out if dataset.reviewed else {}
        if lost := [name for name in times if name not in index and name not in left_out]:
            raise UsageError(f"{path} names {len(lost)} images that {dataset.root} lacks, as {lost[0]}")
        if twice := [name for name, count in times.items() if count > 1]:
            raise UsageError(f"{path} names {len(twice)} images twice, as {twice[0]}")
        found = {part: tuple(sorted(index[one] for one in names if one in index)) for part, names in parts.items()}
        groups = tuple(joined.get(item.path, item.group) for item in dataset.items)
        return cls(found["train"], found["val"], found["test"], groups, findings)


def parse_fold(text: str) -> tuple[int, int]:
    """Return (K, N) of "K/N", 1 ≤ K ≤ N, N ≥ 2; raise `UsageError` for anything else.

    Args:
        text: what a user typed.

    Example:
        >>> parse_fold("2/5")
        (2, 5)
    """
    match = re.fullmatch(r"\s*(\d+)\s*/\s*(\d+)\s*", text, re.ASCII)
    if match is None:
        raise UsageError(f"write a fold as K/N, for example 1/5, not {text!r}")
    return _checked_fold((int(match[1]), int(match[2])))


def check_divisible(dataset: Dataset) -> None:
    """Raise `UsageError` for a single class, and for parts given without one to train on.

    Args:
        dataset: what is to be split.
    """
    given = {item.part or "train" for item in dataset.items}
    if "train" not in given:
        has = " and ".join(f"{part}/" for part in PARTS if part in given)
        raise UsageError(f"{dataset.root} has only {has}: train/ is missing, so there is nothing to train on")
    if len(dataset.classes) < 2:
        raise UsageError(dataset.nested or f"only one class, {dataset.classes[0]}: grading needs at least two")


def assign_groups(
    labels: NDArray[np.int64], groups: Sequence[str], shares: Sequence[float], seed: Sequence[int]
) -> NDArray[np.int64]:
    """Return the part of each item, int64 (N,), with groups kept whole and classes in equal proportion.

    Greedy: groups that carry most of a class go first (equals in random order), each to the part that is relatively
    emptiest in the classes of the group, so a class of P or more groups reaches all P parts. Scikit-learn's
    StratifiedGroupKFold knows only equal parts. The same arguments give the same parts, in whatever order items come.

    Args:
        labels: int64 (N,), class indices.
        groups: N group names.
        shares: P shares, one for each part, above 0; they need not sum to 1.
        seed: one or more numbers, 0 or more.

    Example:
        >>> import numpy as np
        >>> assign_groups(np.array([0, 0, 0, 1, 1, 1]), ["a", "a", "b", "c", "c", "d"], [0.5, 0.5], (0,))
        array([1, 1, 0, 0, 0, 1])
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


def make_split(
    dataset: Dataset,
    seed: int,
    fold: tuple[int, int] | None = None,
    *,
    shares: Shares = Shares(),
    related: NDArray[np.int64] | None = None,
    progress: Progress | None = None,
) -> Split:
    """Split by group, stratified by class; the same arguments give the same split.

    Parts that the folders or CSVs give are kept; a val or test part that they lack is taken from train.

    Args:
        dataset: N images.
        seed: 0 or more.
        fold: (K, N), K from 1: the test part is the K-th of N equal ones, so that each image is tested once over all
            K, and validation is taken from the rest. None takes the test part by its share.
        shares: of the parts.
        related: int64 (P, 2), pairs of items to keep in one part. None reads every image to find near-duplicates and,
            unless the data set has groups, images of the same fruit; images that cannot be read are in no part.
        progress: shows how far the reading is.

    Raises:
        UsageError: a class has fewer than MIN_GROUPS groups among the images to divide, there is a fold although the
            folders give a test part, or `check_divisible` refuses.

    Example:
        ```python
        from pathlib import Path

        import numpy as np

        from mango_grader.datasets import Dataset, Item, make_split

        items = [Item(f"{name}/{n:02}.png", label, f"{name}{n}") for label, name in enumerate("AB") for n in range(20)]
        dataset = Dataset(Path("mangos"), ("A", "B"), tuple(items))
        split = make_split(dataset, seed=0, related=np.empty((0, 2), np.int64))
        assert len(split.test) == 8
        ```
    """
    from mango_grader.datasets.duplicates import merge_groups
    from mango_grader.datasets.relations import find_relations
    from mango_grader.datasets.scan import scan

    check_divisible(dataset)
    usable = np.ones(len(dataset.items), bool)
    findings: tuple[str, ...] = ()
    if related is None:
        facts = scan(dataset, progress)
        usable, relations = facts.readable, find_relations(dataset, facts, progress)
        related, findings = relations.pairs, relations.findings
    given = np.array([item.part or "train" for item in dataset.items])
    if fold is not None and "test" in given:
        raise UsageError("--fold cannot be used with a test/ folder, which fixes the test images already")
    labelled = np.unique(dataset.labels[usable & (given == "train")])
    if absent := [name for index, name in enumerate(dataset.classes) if index not in labelled]:
        raise UsageError(f"no readable training image of class {', '.join(absent)}")

    groups = np.array(merge_groups(dataset.groups, related), object)
    pool = np.flatnonzero(usable & (given == "train"))
    missing = [part for part in PARTS if part == "train" or part not in given]
    parts = given.copy()
    if len(missing) > 1:
        _require_groups(dataset, pool, groups)
        wanted = {part: getattr(shares, part) for part in missing}
        parts[pool] = _divide(dataset.labels[pool], groups[pool].tolist(), wanted, seed, fold)
    parts[~usable] = ""
    train, val, test = (tuple(np.flatnonzero(parts == part).tolist()) for part in PARTS)
    return Split(train, val, test, tuple(groups.tolist()), (*_crossing(dataset, given, related), *findings))


def _divide(
    labels: NDArray[np.int64],
    groups: Sequence[str],
    shares: Mapping[Part, float],
    seed: int,
    fold: tuple[int, int] | None,
) -> NDArray[np.str_]:
    """Return the part of each item, (N,); of a fold, the test part is one of N equal ones and has no share."""
    if fold is None:
        parts: NDArray[np.str_] = np.array(list(shares))
        return parts[assign_groups(labels, groups, list(shares.values()), (seed,))]
    number, count = _checked_fold(fold)
    tested = assign_groups(labels, groups, [1.0] * count, (seed, count)) == number - 1
    result = np.where(tested, "test", "train")
    if "val" in shares:
        rest = np.flatnonzero(~tested)
        remaining = [groups[int(index)] for index in rest]
        side = assign_groups(labels[rest], remaining, [shares["train"], shares["val"]], (seed, count, number))
        result[rest] = np.where(side == 1, "val", "train")
    return result


def _require_groups(dataset: Dataset, pool: NDArray[np.int64], groups: NDArray[np.object_]) -> None:
    of_class: defaultdict[int, set[str]] = defaultdict(set)
    for index in pool:
        of_class[int(dataset.labels[index])].add(groups[index])
    few = [
        f"{name} has {len(of_class[index])}"
        for index, name in enumerate(dataset.classes)
        if len(of_class[index]) < MIN_GROUPS
    ]
    if few:
        raise UsageError(
            f"each class needs at least {MIN_GROUPS} groups (near-duplicates count as one) to be split: "
            f"{', '.join(few)}; add images or leave the class out"
        )


def _crossing(dataset: Dataset, given: NDArray[np.str_], pairs: NDArray[np.int64]) -> tuple[str, ...]:
    across = int((given[pairs[:, 0]] != given[pairs[:, 1]]).sum())
    kinds = (
        (across, "pair of related images lies", "pairs of related images lie"),
        (len(dataset.divided_groups), "group lies", "groups lie"),
    )
    return tuple(f"{counted(count, *nouns)} in several of the given parts" for count, *nouns in kinds if count)


def _checked_fold(fold: tuple[int, int]) -> tuple[int, int]:
    number, count = fold
    if count < 2 or not 1 <= number <= count:
        raise UsageError(f"a fold K/N has 1 ≤ K ≤ N and N ≥ 2, not {number}/{count}")
    return fold
