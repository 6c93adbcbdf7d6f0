"""What an inspection looks for. A new kind of finding is one more `Check` here: what it saw, says and shows."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from mango_grader.datasets.dataset import PARTS
from mango_grader.datasets.duplicates import clusters, exact_duplicates
from mango_grader.datasets.inspection.check import Check, ClassCount, Evidence, Gallery, Paths, several
from mango_grader.datasets.inspection.fruit import SameFruit
from mango_grader.datasets.probe import ProbeResult, probe_dataset
from mango_grader.datasets.splits import MIN_GROUPS
from mango_grader.text import about, counted

__all__ = ["CHECKS", "Balance", "Duplicates", "Orientation", "Shortcut", "Unusable"]

MAX_IMBALANCE = 10.0
"""More images than this in the largest class for each in the smallest is a finding."""


@dataclass(frozen=True)
class Unusable(Check):
    """Images that cannot be used, and images that may be wrong.

    Attributes:
        unreadable: path and reason.
        doubtful: path and warning of readable images, such as one of a single colour.
    """

    unreadable: tuple[tuple[str, str], ...]
    doubtful: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, evidence: Evidence) -> Self:
        """Return what the scan could not read, and what it warned of."""
        paths, scan = evidence.dataset.paths, evidence.scan
        return cls(
            tuple((paths[index], reason) for index, reason in sorted(scan.errors.items())),
            tuple((paths[index], warning) for index, warning in sorted(scan.warnings.items())),
        )

    def findings(self) -> Iterator[str]:
        """Name both."""
        if self.unreadable:
            yield about([path for path, _ in self.unreadable], "image", "unreadable")
        if self.doubtful:
            yield about([f"{path} ({warning})" for path, warning in self.doubtful], "image", "to check")


@dataclass(frozen=True)
class Balance(Check):
    """Whether every class has enough images, in every part.

    Attributes:
        classes: images and groups of each class.
        imbalance: images of the largest class for each of the smallest, 1 or more.
    """

    classes: tuple[ClassCount, ...]
    imbalance: float

    @classmethod
    def of(cls, evidence: Evidence) -> Self:
        """Return the counts of all classes."""
        return cls(evidence.classes, evidence.imbalance)

    def findings(self) -> Iterator[str]:
        """Name parts and classes that lack images."""
        given = {part for count in self.classes for part in count.parts}
        for part in (part for part in PARTS if part in given):
            if absent := [count.name for count in self.classes if part not in count.parts]:
                yield f"{part} has no image of class {', '.join(absent)}"
        if given and "train" not in given:
            yield f"train is missing beside {' and '.join(sorted(given))}: there is nothing to train on"
        if len(self.classes) < 2:
            yield f"there is only one class, {self.classes[0].name}"
        if self.imbalance > MAX_IMBALANCE:
            yield f"the largest class has {self.imbalance:.0f} times as many images as the smallest"
        for count in self.classes:
            if count.groups < MIN_GROUPS:
                yield f"class {count.name} has {counted(count.groups, 'group')} of images; a split needs {MIN_GROUPS}"

    def to_dict(self) -> dict[str, Any]:
        """Return nothing: the inspection itself holds the counts."""
        return {}


@dataclass(frozen=True)
class Duplicates(Check):
    """Images that are there more than once, and where they lie.

    Attributes:
        exact: sets of byte-identical files.
        near: sets of different files that show nearly the same image.
        across_classes: sets of both kinds that lie in several classes.
        across_parts: those that lie in several given parts.
        across_groups: those that lie in several given groups.
        divided_groups: groups that lie in several given parts.
    """

    exact: tuple[Paths, ...]
    near: tuple[Paths, ...]
    across_classes: tuple[Paths, ...]
    across_parts: tuple[Paths, ...]
    across_groups: tuple[Paths, ...]
    divided_groups: Paths

    @classmethod
    def of(cls, evidence: Evidence) -> Self:
        """Put together what digests, perceptual hashes and thumbnails show."""
        dataset, scan = evidence.dataset, evidence.scan
        exact, alike = exact_duplicates(scan), clusters(evidence.relations.near.pairs)
        every = alike + [found for found in exact if not scan.readable[found[0]]]
        given = ["" if item.group == item.path else item.group for item in dataset.items]
        labels, parts = dataset.labels.tolist(), dataset.parts
        return cls(
            exact=evidence.named(exact),
            near=evidence.named(found for found in alike if several(found, scan.digests)),
            across_classes=evidence.named(found for found in every if several(found, labels)),
            across_parts=evidence.named(found for found in every if several(found, parts)),
            across_groups=evidence.named(found for found in every if several(found, given)),
            divided_groups=dataset.divided_groups,
        )

    def findings(self) -> Iterator[str]:
        """Name copies, and duplicates and groups that lie on both sides of a line."""
        if self.exact:
            copies = sum(len(found) - 1 for found in self.exact)
            copied = counted(copies, "file is an exact copy of another", "files are exact copies of others")
            yield f"{copied} ({counted(len(self.exact), 'set')})"
        for sets, where in (
            (self.across_classes, "different classes: a label may be wrong"),
            (self.across_parts, "different parts: test accuracy will be too high"),
        ):
            if sets:
                yield f"{_lying(sets)} in {where} ({', '.join(sets[0][:3])})"
        if self.divided_groups:
            yield about(self.divided_groups, "group", "in several of the given parts: test accuracy will be too high")

    def notes(self) -> Iterator[str]:
        """Say what a split does about them."""
        if self.near:
            near = counted(len(self.near), "set of near-duplicates", "sets of near-duplicates")
            yield f"{near}; a split keeps each set in one part"
        if self.across_groups:
            yield f"{_lying(self.across_groups)} in different groups; a split merges these groups"

    def galleries(self) -> Iterator[Gallery]:
        """Show each kind of set."""
        yield Gallery("Duplicates in different classes", "a label may be wrong", self.across_classes)
        yield Gallery("Duplicates in different parts", "test accuracy will be too high", self.across_parts)
        yield Gallery("Exact copies", "the same bytes", self.exact)
        yield Gallery("Near-duplicates", "every split keeps each set in one part", self.near)

    def to_dict(self) -> dict[str, Any]:
        """Return the sets."""
        return {name: value for name, value in super().to_dict().items() if name != "divided_groups"}


@dataclass(frozen=True)
class Orientation(Check):
    """Images that their metadata rotate.

    Attributes:
        turned: paths of images that EXIF says are rotated or mirrored.
    """

    turned: Paths

    @classmethod
    def of(cls, evidence: Evidence) -> Self:
        """Return what the scan read from EXIF."""
        turned = np.flatnonzero(evidence.scan.orientations > 1)
        return cls(tuple(evidence.dataset.items[index].path for index in turned))

    def notes(self) -> Iterator[str]:
        """Count them."""
        if self.turned:
            rotated = counted(len(self.turned), "image is rotated", "images are rotated")
            yield f"{rotated} upright, following the EXIF orientation"

    def galleries(self) -> Iterator[Gallery]:
        """Show each by itself."""
        yield Gallery("Rotated upright", "by their EXIF orientation", tuple((path,) for path in self.turned))


@dataclass(frozen=True)
class Shortcut(Check):
    """Whether the background gives the class away.

    Attributes:
        probe: how well the image border alone predicts the class; None where there are too few images.
    """

    probe: ProbeResult | None

    @classmethod
    def of(cls, evidence: Evidence) -> Self:
        """Run the shortcut probe."""
        return cls(probe_dataset(evidence.dataset, evidence.scan, evidence.groups, evidence.seed))

    def findings(self) -> Iterator[str]:
        """Say how far the border is better than a guess, if it is."""
        if self.probe and self.probe.suspicious:
            yield (
                f"shortcut: the image border alone predicts the class with {self.probe.accuracy:.1%} accuracy; "
                f"the most common class has {self.probe.majority:.1%} of the images"
            )

    def notes(self) -> Iterator[str]:
        """Say where there was no probe, or one of some images only."""
        if self.probe is None:
            yield "too few images for the shortcut probe"
        elif self.probe.images is not None:
            yield f"the shortcut probe looked at {counted(self.probe.images, 'image')}, drawn at random"


CHECKS: tuple[type[Check], ...] = (Unusable, Balance, Duplicates, SameFruit, Orientation, Shortcut)
"""All checks, in the order in which their findings are listed."""


def _lying(sets: Sequence[Paths]) -> str:
    return counted(len(sets), "set of duplicates lies", "sets of duplicates lie")
