"""What is in a data set and what is wrong with it, as plain data that a terminal, JSON or HTML can show."""

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from mango_grader.datasets.dataset import Dataset
from mango_grader.datasets.duplicates import clusters, exact_duplicates, merge_groups, near_pairs
from mango_grader.datasets.probe import ProbeResult, border_probe
from mango_grader.datasets.reading import read_dataset
from mango_grader.datasets.scan import Scan, scan
from mango_grader.datasets.splits import MIN_GROUPS
from mango_grader.progress import Progress
from mango_grader.text import about, counted

__all__ = ["ClassCount", "Inspection", "Sizes", "inspect_dataset", "inspect_folder"]

MAX_IMBALANCE = 10.0
"""More images than this in the largest class for each in the smallest is a finding."""

Paths = tuple[str, ...]


@dataclass(frozen=True)
class ClassCount:
    """Images and groups (near-duplicates merged) of one class, and its images by given part."""

    name: str
    images: int
    groups: int
    parts: dict[str, int]


@dataclass(frozen=True)
class Sizes:
    """Upright (width, height) in pixels, by area; `commonest` with its number of images."""

    smallest: tuple[int, int]
    median: tuple[int, int]
    largest: tuple[int, int]
    commonest: tuple[int, int]
    commonest_count: int
    distinct: int


@dataclass(frozen=True)
class Inspection:
    """Everything `data inspect` tells. `findings` ask for a look (`--strict` fails on them), `notes` do not.

    `labels_from` is "folders" or the label CSVs. `unreadable`: path and reason. `doubtful`: path and warning of images
    that may not show what they should.
    `turned`: paths that EXIF shows rotated or mirrored. `exact`, `near`: sets of paths of identical files and of
    nearly the same image; `across_classes`, `across_parts`, `across_groups`: the sets of both kinds that lie in
    several classes, given parts, or given groups. `probe` is None where there are too few images.
    """

    root: str
    labels_from: str
    images: int
    groups: int
    ordinal: bool
    classes: tuple[ClassCount, ...]
    imbalance: float
    sizes: Sizes | None
    unreadable: tuple[tuple[str, str], ...]
    doubtful: tuple[tuple[str, str], ...]
    turned: Paths
    exact: tuple[Paths, ...]
    near: tuple[Paths, ...]
    across_classes: tuple[Paths, ...]
    across_parts: tuple[Paths, ...]
    across_groups: tuple[Paths, ...]
    probe: ProbeResult | None
    findings: tuple[str, ...]
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)


def inspect_folder(
    root: str | os.PathLike[str],
    group_by: str | None = None,
    ordinal: bool | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> Inspection:
    """Read a data set (see `read_dataset`) and inspect it; `UsageError` only if there is nothing to read."""
    dataset = read_dataset(root, group_by, ordinal)
    return inspect_dataset(dataset, scan(dataset, progress), seed)


def inspect_dataset(dataset: Dataset, facts: Scan, seed: int = 0) -> Inspection:
    """Put together what `facts`, the scan of `dataset`, show; `seed` deals out the probe's folds."""
    paths, labels = dataset.paths, dataset.labels
    pairs = near_pairs(facts)
    merged = merge_groups(dataset.groups, pairs)
    exact = exact_duplicates(facts)
    alike = clusters(pairs)
    near = [found for found in alike if len({facts.digests[index] for index in found}) > 1]
    every = alike + [found for found in exact if not facts.readable[found[0]]]
    parts = [item.part or "" for item in dataset.items]
    counts = _class_counts(dataset, merged)
    present = [count.images for count in counts]
    inspection = Inspection(
        root=str(dataset.root),
        labels_from=dataset.labels_from,
        images=len(paths),
        groups=len(set(merged)),
        ordinal=dataset.ordinal,
        classes=counts,
        imbalance=max(present) / min(present),
        sizes=_sizes(facts),
        unreadable=tuple((paths[index], reason) for index, reason in sorted(facts.errors.items())),
        doubtful=tuple((paths[index], warning) for index, warning in sorted(facts.warnings.items())),
        turned=tuple(paths[index] for index in np.flatnonzero(facts.orientations > 1)),
        exact=_named(exact, paths),
        near=_named(near, paths),
        across_classes=_named(_mixed(every, labels.tolist()), paths),
        across_parts=_named(_mixed(every, parts), paths),
        across_groups=_named(_mixed(every, [_given(item.group, item.path) for item in dataset.items]), paths),
        probe=_probe(dataset, facts, merged, seed),
        findings=(),
        notes=(),
    )
    torn = _torn_groups(dataset.groups, parts)
    findings = (*dataset.findings, *_findings(inspection, torn))
    return replace(inspection, findings=findings, notes=tuple(_notes(inspection)))


def _findings(seen: Inspection, torn_groups: Sequence[str]) -> Iterable[str]:
    if seen.unreadable:
        yield about([path for path, _ in seen.unreadable], "image", "unreadable")
    if seen.doubtful:
        yield about([f"{path} ({warning})" for path, warning in seen.doubtful], "image", "to look at")
    given = {part for count in seen.classes for part in count.parts}
    for part in (part for part in ("train", "val", "test") if part in given):
        if absent := [count.name for count in seen.classes if part not in count.parts]:
            yield f"{part} has no image of class {', '.join(absent)}"
    if given and "train" not in given:
        yield f"train is missing beside {' and '.join(sorted(given))}: there is nothing to learn from"
    if len(seen.classes) < 2:
        yield f"there is only one class, {seen.classes[0].name}"
    if seen.imbalance > MAX_IMBALANCE:
        yield f"the largest class has {seen.imbalance:.0f} times the images of the smallest"
    for count in seen.classes:
        if count.groups < MIN_GROUPS:
            yield f"class {count.name} has {counted(count.groups, 'group')} of images; a split needs {MIN_GROUPS}"
    if seen.exact:
        copies = sum(len(found) - 1 for found in seen.exact)
        copied = counted(copies, "file is an exact copy of another", "files are exact copies of others")
        yield f"{copied} ({counted(len(seen.exact), 'set')})"
    for sets, what in (
        (seen.across_classes, "different classes: a label may be wrong"),
        (seen.across_parts, "different parts: the test is not fair"),
    ):
        if sets:
            lying = counted(len(sets), "set of duplicates lies", "sets of duplicates lie")
            yield f"{lying} in {what} ({', '.join(sets[0][:3])})"
    if torn_groups:
        yield about(torn_groups, "group", "in several of the given parts, so the test is not fair")
    if seen.probe and seen.probe.suspicious:
        yield (
            f"shortcut: the image border alone tells the class in {seen.probe.accuracy:.1%} of images, "
            f"naming the commonest class in {seen.probe.majority:.1%}"
        )


def _notes(seen: Inspection) -> Iterable[str]:
    if seen.near:
        near = counted(len(seen.near), "set of near-duplicates", "sets of near-duplicates")
        yield f"{near}; a split keeps each in one part"
    if seen.across_groups:
        lying = counted(len(seen.across_groups), "set of duplicates lies", "sets of duplicates lie")
        yield f"{lying} in different groups; a split merges these groups"
    if seen.turned:
        turned = counted(len(seen.turned), "image is turned", "images are turned")
        yield f"{turned} upright as the EXIF orientation says"
    if seen.probe is None:
        yield "too few images for the shortcut probe"


def _class_counts(dataset: Dataset, merged: Sequence[str]) -> tuple[ClassCount, ...]:
    found = []
    for label, name in enumerate(dataset.classes):
        members = np.flatnonzero(dataset.labels == label).tolist()
        parts = Counter[str](part for index in members if (part := dataset.items[index].part))
        found.append(ClassCount(name, len(members), len({merged[index] for index in members}), dict(parts)))
    return tuple(found)


def _sizes(facts: Scan) -> Sizes | None:
    sizes = sorted(map(tuple, facts.sizes[facts.readable].tolist()), key=lambda size: (size[0] * size[1], size))
    if not sizes:
        return None
    times = Counter(sizes)
    (commonest, count), *_ = times.most_common(1)
    return Sizes(sizes[0], sizes[len(sizes) // 2], sizes[-1], commonest, count, len(times))


def _probe(dataset: Dataset, facts: Scan, merged: Sequence[str], seed: int) -> ProbeResult | None:
    rows = np.flatnonzero(facts.readable)
    groups = [merged[int(index)] for index in rows]
    if len(set(groups)) < 2 * MIN_GROUPS or len(np.unique(dataset.labels[rows])) < 2:
        return None
    return border_probe(facts.thumbs[rows], dataset.labels[rows], groups, seed)


def _given(group: str, path: str) -> str:
    """Return a group that was given, "" for an image that is merely its own."""
    return "" if group == path else group


def _mixed(sets: Iterable[tuple[int, ...]], values: Sequence[Any]) -> list[tuple[int, ...]]:
    return [found for found in sets if len({values[index] for index in found}) > 1]


def _named(sets: Iterable[tuple[int, ...]], paths: Sequence[str]) -> tuple[Paths, ...]:
    return tuple(tuple(paths[index] for index in found) for found in sets)


def _torn_groups(groups: Sequence[str], parts: Sequence[str]) -> list[str]:
    where: dict[str, set[str]] = {}
    for group, part in zip(groups, parts, strict=True):
        where.setdefault(group, set()).add(part)
    return sorted(group for group, found in where.items() if len(found) > 1)
