"""The description of a model in its bundle: classes, preprocessing, exits, exit policies, provenance."""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from mango_grader.errors import BundleError
from mango_grader.runtime.bundle.strict_json import Checked, parse_json
from mango_grader.runtime.images.preprocess import Preprocess

SCHEMA = 2
"""Version of the format that is written. Schema 1, which has no `originals`, is read, too."""

_MOST_CLASSES, _MOST_EXITS, _MOST_POLICIES, _MOST_PARTS = 10_000, 100, 100, 1_000
_LARGEST_SIDE = 4096  # pixels
_LARGEST_COUNT = 1 << 62
_LARGEST_THRESHOLD = 2.0  # Above 1, none stops at that exit.
_COLDEST, _HOTTEST = 1e-6, 1e6  # temperatures
MOST_ORIGINALS = 4
_PART = re.compile(r"\w[\w.-]*(/\w[\w.-]*)*", re.ASCII)
_HASH = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class ExitInfo:
    """One exit of a network.

    Attributes:
        name: of its node in the network.
        macs: multiply-accumulates of everything that an image passes on its way to the exit.
        params: number of parameters of the same.
        temperature: above 0; the probabilities are softmax(logits / `temperature`).
    """

    name: str
    macs: int
    params: int
    temperature: float


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """The description of a bundle; raises `BundleError` if it contradicts itself.

    Attributes:
        schema: version of the format, 1 or 2.
        classes: names of the grades, in the order of the probabilities.
        ordinal: whether the classes are in order, best or worst first.
        preprocess: of images.
        exits: in the order in which an image passes them.
        stages: part names of the stages' graphs, one per exit, by precision: "fp32", "int8".
        full: part name of the graph with all exits, whose outputs are "logits0", "logits1", ….
        policies: confidence thresholds, one per exit but the last, by the name of the exit policy.
        default_policy: "full" or one of `policies`.
        originals: part names of 1 to 4 encoded images whose preprocessing is checked at each load; schema 1 has none.
        provenance: where the model comes from, as plain JSON values.
        hashes: SHA-256 of each part but manifest.json, by its name.
    """

    schema: int = SCHEMA
    classes: tuple[str, ...]
    ordinal: bool
    preprocess: Preprocess
    exits: tuple[ExitInfo, ...]
    stages: Mapping[str, tuple[str, ...]]
    full: str = "full.onnx"
    policies: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    default_policy: str = "full"
    originals: tuple[str, ...] = ()
    provenance: Mapping[str, Any] = field(default_factory=dict)
    hashes: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        exits = len(self.exits)
        if not 1 <= self.schema <= SCHEMA:
            raise BundleError(f"manifest: schema {self.schema} cannot be written, only 1 to {SCHEMA}")
        if len(self.classes) < 2 or len(set(self.classes)) != len(self.classes):
            raise BundleError("manifest: needs two or more classes, all different")
        if not exits or not all(math.isfinite(info.temperature) and info.temperature > 0 for info in self.exits):
            raise BundleError("manifest: needs exits with temperatures above 0")
        if "fp32" not in self.stages or any(len(files) != exits for files in self.stages.values()):
            raise BundleError(f"manifest: each precision, fp32 among them, needs {exits} stages")
        if any(len(thresholds) != exits - 1 for thresholds in self.policies.values()):
            raise BundleError(f"manifest: each policy needs {exits - 1} thresholds")
        if any(name == "full" or name.startswith("exit:") for name in self.policies):
            raise BundleError("manifest: no policy can be called full or exit:…, which have another meaning")
        if self.default_policy not in {"full", *self.policies}:
            raise BundleError(f"manifest: default policy {self.default_policy!r} is not defined")
        if len(set(self.originals)) != len(self.originals) or (self.schema == 1) != (not self.originals):
            raise BundleError("manifest: schema 2 has different originals, schema 1 has none")

    @property
    def lacks(self) -> str | None:
        """What a bundle of an earlier schema does not have, in words; None if nothing is missing."""
        if self.originals:
            return None
        return (
            f"encoded originals (schema {self.schema}): loading does not check how image files are decoded and resized"
            " here; export the run again"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        values = asdict(self) | {"preprocess": self.preprocess.to_dict()}
        if self.schema == 1:
            del values["originals"]
        return values

    def to_json(self) -> bytes:
        """Return the bytes of manifest.json."""
        return (json.dumps(self.to_dict(), indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()

    @classmethod
    def from_json(cls, data: bytes) -> Self:
        """Read manifest.json; raise `BundleError` for a later schema, or a value of the wrong type or out of range."""
        root = parse_json(data, "manifest.json")
        values = root.table()
        if "schema" not in values:
            raise BundleError("manifest.json lacks schema")
        schema = values["schema"].integer(1, 1 << 31)
        if schema > SCHEMA:
            raise BundleError(f"the model has schema {schema}, this version reads {SCHEMA}: upgrade mango-grader")
        return cls(**_fields_of(root, schema))


def _fields_of(root: Checked, schema: int) -> dict[str, Any]:
    plain = (
        "schema", "classes", "ordinal", "preprocess", "exits", "stages", "full", "policies", "default_policy",
        "provenance", "hashes",
    )  # fmt: skip
    values = root.fields(*plain, *(("originals",) if schema > 1 else ()))
    values["provenance"].table()
    return {
        "schema": schema,
        "classes": tuple(one.text() for one in values["classes"].items(2, _MOST_CLASSES)),
        "ordinal": values["ordinal"].flag(),
        "preprocess": _preprocess(values["preprocess"]),
        "exits": tuple(_exit_info(one) for one in values["exits"].items(1, _MOST_EXITS)),
        "stages": {
            _name(values["stages"], key): tuple(_part(one) for one in files.items(1, _MOST_EXITS))
            for key, files in _limited(values["stages"], 10).items()
        },
        "full": _part(values["full"]),
        "policies": {
            _name(values["policies"], key): tuple(
                one.number(0, _LARGEST_THRESHOLD) for one in numbers.items(0, _MOST_EXITS)
            )
            for key, numbers in _limited(values["policies"], _MOST_POLICIES).items()
        },
        "default_policy": values["default_policy"].text(),
        "originals": tuple(_part(one) for one in values["originals"].items(1, MOST_ORIGINALS)) if schema > 1 else (),
        "provenance": values["provenance"].value,
        "hashes": {
            _part(Checked(key, "manifest.json.hashes: a part's name")): _hash(one)
            for key, one in _limited(values["hashes"], _MOST_PARTS).items()
        },
    }


def _limited(value: Checked, most: int) -> dict[str, Checked]:
    table = value.table()
    if len(table) > most:
        raise BundleError(f"{value.place} has {len(table)} members, more than {most}")
    return table


def _name(value: Checked, key: str) -> str:
    return Checked(key, f"{value.place}: a name").text(100)


def _part(value: Checked) -> str:
    name = value.text(200)
    if not _PART.fullmatch(name):
        raise BundleError(f"{value.place} is not the name of a part: letters, digits, _, -, . and / between folders")
    return name


def _hash(value: Checked) -> str:
    text = value.text(64)
    if not _HASH.fullmatch(text):
        raise BundleError(f"{value.place} is not a SHA-256 of 64 hexadecimal digits")
    return text


def _preprocess(value: Checked) -> Preprocess:
    values = value.fields("height", "width", "rotate_portrait", "fill")
    red, green, blue = (one.integer(0, 255) for one in values["fill"].items(3, 3))
    return Preprocess(
        height=values["height"].integer(1, _LARGEST_SIDE),
        width=values["width"].integer(1, _LARGEST_SIDE),
        rotate_portrait=values["rotate_portrait"].flag(),
        fill=(red, green, blue),
    )


def _exit_info(value: Checked) -> ExitInfo:
    values = value.fields("name", "macs", "params", "temperature")
    return ExitInfo(
        name=values["name"].text(),
        macs=values["macs"].integer(0, _LARGEST_COUNT),
        params=values["params"].integer(0, _LARGEST_COUNT),
        temperature=values["temperature"].number(_COLDEST, _HOTTEST),
    )
