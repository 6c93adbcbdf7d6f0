"""Which images of a data set belong together: by groups that were given, as near-duplicates, as photos of one fruit."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mango_grader.datasets.dataset import Dataset
from mango_grader.datasets.duplicates import NearDuplicates, merge_groups, near_duplicates
from mango_grader.datasets.same_fruit import FoundFruit, FruitMatches, find_same_fruit
from mango_grader.datasets.scan import Scan
from mango_grader.errors import UsageError
from mango_grader.files import write_csv
from mango_grader.progress import Progress
from mango_grader.text import counted, listed

__all__ = ["Relations", "check_new_table", "find_relations", "write_groups"]


@dataclass(frozen=True, eq=False)
class Relations:
    """Which images of a data set belong together.

    Attributes:
        dataset: N images.
        near: which of them are near-duplicates.
        fruit: which images show the same fruit; None where nobody looked.
    """

    dataset: Dataset
    near: NearDuplicates
    fruit: FoundFruit | None

    @property
    def pairs(self) -> NDArray[np.int64]:
        """Pairs of items that a split must not separate, int64 (P, 2); groups that were given are not among them."""
        if self.fruit is None or self.dataset.grouping != "found":
            return self.near.pairs
        return np.concatenate([self.near.pairs, self.fruit.matches.pairs])

    @cached_property
    def groups(self) -> list[str]:
        """The group of each item, merged with those that belong together."""
        return merge_groups(self.dataset.groups, self.pairs)

    @property
    def fruit_only(self) -> FruitMatches:
        """Pairs that show the same fruit and are no near-duplicates."""
        if self.fruit is None:
            return FruitMatches.none()
        found, count = self.fruit.matches, len(self.dataset.items)
        near = np.sort(self.near.pairs, axis=1) @ (count, 1)
        return found.only(~np.isin(found.pairs @ (count, 1), near))

    @property
    def findings(self) -> tuple[str, ...]:
        """What whoever splits the images should know, a line each."""
        return self.skipped + self.too_large

    @property
    def skipped(self) -> tuple[str, ...]:
        """What was not compared because there are too many images, a line each, where a split needs it."""
        lines = [self.near.skipped]
        if self.fruit is not None and self.dataset.grouping == "found":
            lines.append(self.fruit.skipped)
        tail = "pass --group-by, or related images may lie in several parts"
        return tuple(f"{line}; {tail}" for line in lines if line)

    @property
    def unchecked(self) -> tuple[str, ...]:
        """The same where groups were given, which a comparison would only check, a line each."""
        if self.fruit is None or self.fruit.skipped is None or self.dataset.grouping == "found":
            return ()
        return (f"{self.fruit.skipped}; the groups that were given are not checked by it",)

    @property
    def too_large(self) -> tuple[str, ...]:
        """A line for each set of images that is too large to be one fruit, and was not grouped."""
        return tuple(self._too_large(found) for found in (self.fruit.too_large if self.fruit else ()))

    def _too_large(self, items: Sequence[int]) -> str:
        names = listed([self.dataset.items[item].path for item in items])
        return (
            f"{counted(len(items), 'image')} seem to show one fruit, too many to believe ({names}): not grouped;"
            " if they do, say so with --group-by"
        )


def find_relations(
    dataset: Dataset, facts: Scan, progress: Progress | None = None, *, check_given: bool = False
) -> Relations:
    """Return which images belong together.

    Near-duplicates always do. Images of the same fruit are looked for where the data set's groups are to be found.

    Args:
        dataset: N images on disk.
        facts: its scan, N rows.
        progress: shows how far it is.
        check_given: look for images of the same fruit also where groups were given; these stay as they are.
    """
    looked = dataset.grouping == "found" or (check_given and dataset.grouping == "given")
    return Relations(dataset, near_duplicates(facts), find_same_fruit(dataset, facts, progress) if looked else None)


def check_new_table(path: Path) -> None:
    """Raise `UsageError` if there is such a file, which may have been corrected, or its name does not end in .csv.

    Args:
        path: of the file to write.
    """
    if path.suffix.lower() != ".csv":
        raise UsageError(f"{path}: groups are written as .csv")
    if os.path.lexists(path):
        raise UsageError(f"{path} exists; choose another name, so that no correction is lost")


def write_groups(path: Path, relations: Relations) -> None:
    """Write the fruit of each image as a CSV, to correct by hand and read as `--group-by FILE.csv:fruit`.

    Images of one fruit follow one another. Fruit are numbered in the order of their first images.

    Args:
        path: of the file to write.
        relations: of a data set.

    Raises:
        UsageError: as `check_new_table` does.
    """
    check_new_table(path)
    number = {group: place for place, group in enumerate(dict.fromkeys(relations.groups), 1)}
    pairs = zip(relations.dataset.paths, relations.groups, strict=True)
    rows = sorted((number[group], name) for name, group in pairs)
    write_csv(path, ("path", "fruit"), ((name, fruit) for fruit, name in rows))
