"""A record of a run's data, image by image, and what has changed since."""

import os
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, cast, get_args

from mango_grader.datasets.cache import Fingerprint, PackedImages
from mango_grader.datasets.dataset import Dataset, Grouping, Item, Part, ReviewedLabels
from mango_grader.errors import MangoError
from mango_grader.files import digest, read_json, write_json
from mango_grader.text import counted, listed

__all__ = ["DataChanges", "DataRecord", "RecordedImage"]

_SCHEMA = 1


@dataclass(frozen=True, slots=True)
class RecordedImage:
    """One image as it was.

    Attributes:
        path: relative to the data folder.
        label: the name of its class.
        fingerprint: of its bytes.
        group: its group; the path where it had no other.
        part: the part that folders or CSVs put it in; None where they put it in none.
        error: why it was left out; None where it was readable.
    """

    path: str
    label: str
    fingerprint: Fingerprint
    group: str
    part: Part | None = None
    error: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-safe plain data, without what has its default value."""
        always = {"class": self.label, "sha256": self.fingerprint.sha256, "bytes": self.fingerprint.size}
        further = {"part": self.part, "error": self.error, "group": self.group if self.group != self.path else None}
        return {**always, **{name: value for name, value in further.items() if value is not None}}

    @classmethod
    def from_dict(cls, path: str, data: Mapping[str, Any]) -> "RecordedImage":
        """Rebuild from `to_dict`.

        Args:
            path: relative to the data folder.
            data: what `to_dict` returned.
        """
        fingerprint = Fingerprint(str(data["sha256"]), int(data["bytes"]))
        return cls(path, str(data["class"]), fingerprint, data.get("group", path), data.get("part"), data.get("error"))


@dataclass(frozen=True)
class DataChanges:
    """What differs between a record and the data now, as paths; images that the run left out do not count.

    Attributes:
        added: images that the record lacks.
        removed: images of the record that are gone.
        moved: images that have another path now, each as "old → new".
        overwritten: images of other bytes now.
        relabelled: images of another class now, except for those of `renamed` classes.
        regrouped: images of another group now.
        renamed: new class name by old one, where all images of a class have a new name that no other class has; None
            where there are none.
    """

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    moved: tuple[str, ...] = ()
    overwritten: tuple[str, ...] = ()
    relabelled: tuple[str, ...] = ()
    regrouped: tuple[str, ...] = ()
    renamed: Mapping[str, str] | None = None

    @property
    def of_images(self) -> bool:
        """Whether images of the record are gone, have moved, or have other bytes now."""
        return bool(self.removed or self.moved or self.overwritten)

    @property
    def matters(self) -> bool:
        """Whether images of the record, or their labels, are different now."""
        return self.of_images or bool(self.relabelled)

    def __bool__(self) -> bool:
        """Whether anything differs."""
        return bool(self.matters or self.added or self.regrouped or self.renamed)

    def __str__(self) -> str:
        kinds = (
            (self.removed, "image", "removed"),
            (self.moved, "image", "moved"),
            (self.overwritten, "image", "overwritten"),
            (self.relabelled, "label", "changed"),
            (self.added, "image", "added"),
            (self.regrouped, "image", "regrouped"),
        )
        parts = [f"{counted(len(paths), what)} {how} ({listed(paths)})" for paths, what, how in kinds if paths]
        if self.renamed:
            parts.append("classes renamed (" + ", ".join(f"{old} → {new}" for old, new in self.renamed.items()) + ")")
        return "; ".join(parts)


@dataclass(frozen=True)
class DataRecord:
    """A data set as a run read it.

    Attributes:
        classes: names in order.
        ordinal: whether they are grades in order.
        images: every image, sorted by path.
        findings: what reading the folder brought up.
        pixels: `PackedImages.digest` of its cache.
        labels_from: "folders", or the label CSVs; "" in records of earlier versions.
        reviewed: what a review of the labels changed; None where there was none.
        grouping: how it is known which images belong together; "given" in records of earlier versions,
            which are split as they were.
    """

    classes: tuple[str, ...]
    ordinal: bool
    images: tuple[RecordedImage, ...]
    findings: tuple[str, ...]
    pixels: str
    labels_from: str = ""
    reviewed: ReviewedLabels | None = None
    grouping: Grouping = "given"

    @classmethod
    def of(cls, dataset: Dataset, fingerprints: Sequence[Fingerprint], packed: PackedImages) -> "DataRecord":
        """Record what was read and packed.

        Args:
            dataset: N images.
            fingerprints: N of them, in order.
            packed: the readable ones.
        """
        images = (
            RecordedImage(
                item.path, dataset.classes[item.label], found, item.group, item.part, packed.errors.get(item.path)
            )
            for item, found in zip(dataset.items, fingerprints, strict=True)
        )
        told = dataset.findings, packed.digest, dataset.labels_from, dataset.reviewed, dataset.grouping
        return cls(dataset.classes, dataset.ordinal, tuple(images), *told)

    @cached_property
    def labels_sha256(self) -> str:
        """Digest of all paths with their classes."""
        return digest("\n".join(f"{each.path},{each.label}" for each in self.images).encode("utf-8", "surrogateescape"))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write JSON, whole or not at all."""
        write_json(
            path,
            {
                "schema": _SCHEMA,
                "classes": list(self.classes),
                "ordinal": self.ordinal,
                "labels_from": self.labels_from,
                "grouping": self.grouping,
                "labels_sha256": self.labels_sha256,
                "pixels": self.pixels,
                "findings": list(self.findings),
                **({"reviewed": asdict(self.reviewed)} if self.reviewed else {}),
                "images": {each.path: each.to_dict() for each in self.images},
            },
        )

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "DataRecord":
        """Read what `save` wrote; raise `MangoError` for anything else."""
        try:
            values = read_json(path)
            if values["schema"] != _SCHEMA:
                raise MangoError(f"{path} is of schema {values['schema']}; this version reads {_SCHEMA}")
            images = tuple(RecordedImage.from_dict(name, each) for name, each in values["images"].items())
            classes, findings = tuple(map(str, values["classes"])), tuple(map(str, values["findings"]))
            reviewed = ReviewedLabels(**values["reviewed"]) if "reviewed" in values else None
            record = cls(
                classes,
                bool(values["ordinal"]),
                images,
                findings,
                str(values["pixels"]),
                str(values.get("labels_from", "")),
                reviewed,
                _grouping(values.get("grouping", "given")),
            )
            whole = record.labels_sha256 == values["labels_sha256"]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise MangoError(f"{path} is not a record of a run's data: {error!r}") from error
        if not whole or not {each.label for each in images} <= set(classes):
            raise MangoError(f"{path} was changed by hand: its labels do not match their digest")
        return record

    def dataset(self, root: Path) -> Dataset:
        """Return the data set as it was read, its images below `root`."""
        index = {name: number for number, name in enumerate(self.classes)}
        items = tuple(Item(each.path, index[each.label], each.group, each.part) for each in self.images)
        told = self.findings, self.labels_from, self.reviewed, self.grouping
        return Dataset(root, self.classes, items, self.ordinal, *told)

    def changes(self, now: Dataset, fingerprints: Mapping[str, Fingerprint]) -> DataChanges:
        """Return what is different now.

        Args:
            now: the data set as it is read now.
            fingerprints: those of its images, by path.
        """
        items = {item.path: item for item in now.items}
        used = {each.path: each for each in self.images if each.error is None}
        left_out = {each.path: each.fingerprint for each in self.images if each.error is not None}
        kept = [each for path, each in used.items() if path in items]
        added = [path for path in items if path not in used and left_out.get(path) != fingerprints[path]]
        lost = [each for path, each in used.items() if path not in items]
        arrived = {fingerprints[path]: path for path in added}
        moved = {each.path: arrived[each.fingerprint] for each in lost if each.fingerprint in arrived}
        renamed = _renamed((each.label, now.classes[items[each.path].label]) for each in kept)
        if set(renamed.values()) & set(self.classes):
            renamed = {}  # names that changed places are labels that changed
        return DataChanges(
            added=tuple(path for path in added if path not in set(moved.values())),
            removed=tuple(each.path for each in lost if each.path not in moved),
            moved=tuple(f"{old} → {new}" for old, new in moved.items()),
            overwritten=tuple(each.path for each in kept if fingerprints[each.path] != each.fingerprint),
            relabelled=tuple(
                each.path for each in kept if renamed.get(each.label, each.label) != now.classes[items[each.path].label]
            ),
            regrouped=tuple(each.path for each in kept if items[each.path].group != each.group),
            renamed=renamed or None,
        )


def _grouping(value: str) -> Grouping:
    for known in get_args(Grouping):
        if value == known:
            return cast(Grouping, known)
    raise ValueError(f"no grouping: {value!r}")


def _renamed(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return the classes whose images all have one new class, which no other class has: old name → new name."""
    new, old = defaultdict[str, set[str]](set), defaultdict[str, set[str]](set)
    for before, after in pairs:
        new[before].add(after)
        old[after].add(before)
    alone = {before: next(iter(after)) for before, after in new.items() if len(after) == 1}
    return {before: after for before, after in alone.items() if before != after and len(old[after]) == 1}
