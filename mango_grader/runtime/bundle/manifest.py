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

SCHEMA = 3
"""Version of the format that is written. Read, too: schema 1 without encoded originals, 2 without calibration data."""

_MOST_CLASSES, _MOST_EXITS, _MOST_POLICIES, _MOST_PARTS = 10_000, 100, 100, 1_000
_LARGEST_SIDE = 4096  # pixels
_LARGEST_COUNT = 1 << 62
_LARGEST_THRESHOLD = 2.0  # Above 1, none stops at that exit.
_COLDEST, _HOTTEST = 1e-6, 1e6  # temperatures
MOST_ORIGINALS = 4
MOST_CALIBRATION_IMAGES = 1_000_000
LARGEST_PRICE = 1e12
_ONLY_SIGNAL = "confidence"  # of schemas 1 and 2
_SINCE = {"originals": 2, "default_decide": 3, "prices": 3, "calibration": 3, "heat": 3}  # first schema of a field
_PART = re.compile(r"\w[\w.-]*(/\w[\w.-]*)*", re.ASCII)
# Words and numbers alone: whoever sends a bundle must not choose a file that is read here.
_RULE = re.compile(r"[a-z_]+(:[a-z_]+(=[-+.\de]+)?(,[a-z_]+(=[-+.\de]+)?)*)?", re.ASCII)
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


@dataclass(frozen=True)
class Thresholds:
    """The numbers of a tuned exit policy.

    Attributes:
        signal: name of the signal that is compared with them, such as "confidence".
        values: one per exit but the last; no image stops at an exit whose threshold is above 1.
    """

    signal: str
    values: tuple[float, ...]


@dataclass(frozen=True)
class Prices:
    """What each answer costs, in any one unit of money.

    Attributes:
        answers: C rows of C: cost of answering class [column] to an image whose true class is [row].
        review: (C,), cost of asking a person about an image of each true class; None where nobody can be asked.
    """

    answers: tuple[tuple[float, ...], ...]
    review: tuple[float, ...] | None = None


@dataclass(frozen=True)
class CalibrationInfo:
    """The images whose answers a bundle keeps, for choosing exit policies and decision rules.

    Attributes:
        images: their number.
        groups: number of the fruit that they show.
        labelled: whether their true classes are kept.
        retrained: whether the network has been trained on them since it gave these answers.
    """

    images: int
    groups: int
    labelled: bool
    retrained: bool = False


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """The description of a bundle; raises `BundleError` if it contradicts itself.

    Attributes:
        schema: version of the format, 1 to 3.
        classes: names of the grades, in the order of the probabilities.
        ordinal: whether the classes are in order, best or worst first.
        preprocess: of images.
        exits: in the order in which an image passes them.
        stages: part names of the stages' graphs, one per exit, by precision: "fp32", "int8".
        full: part name of the graph with all exits, whose outputs are "logits0", "logits1", ….
        policies: thresholds that were tuned in training, by the name of the exit policy.
        default_policy: exit policy that is used unless another one is named.
        default_decide: decision rule that is used unless another one is named.
        prices: that the decision rule "cost" uses unless others are named; None if there are none.
        calibration: images whose answers are kept; None if there are none, as before schema 3.
        heat: part names of the graphs that make class maps, one per exit; none before schema 3, and where a classifier
            of the network does not take the mean over positions.
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
    policies: Mapping[str, Thresholds] = field(default_factory=dict)
    default_policy: str = "full"
    default_decide: str = "argmax"
    prices: Prices | None = None
    calibration: CalibrationInfo | None = None
    heat: tuple[str, ...] = ()
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
        if any(len(tuned.values) != exits - 1 for tuned in self.policies.values()):
            raise BundleError(f"manifest: each policy needs {exits - 1} thresholds")
        if any(name == "full" or name.startswith("exit:") for name in self.policies):
            raise BundleError("manifest: no policy can be called full or exit:…, which have another meaning")
        if len(self.heat) not in (0, exits) or len(set(self.heat)) != len(self.heat):
            raise BundleError(f"manifest: heat maps need {exits} different graphs, or none")
        if not _RULE.fullmatch(self.default_decide):
            raise BundleError(
                f"manifest: default decision rule {self.default_decide[:40]!r} is none: it may name a rule, such as"
                " cost or cost:ordinal, but no file"
            )
        self._check_prices()
        if len(set(self.originals)) != len(self.originals) or (self.schema == 1) != (not self.originals):
            raise BundleError("manifest: schemas 2 and 3 have different originals, schema 1 has none")
        if self.schema < 3:
            self._check_earlier()
        elif self.calibration and not 1 <= self.calibration.groups <= self.calibration.images:
            raise BundleError("manifest: calibration images need one fruit or more, and no more than images")

    def _check_prices(self) -> None:
        if self.prices is None:
            return
        count = len(self.classes)
        sized = len(self.prices.answers) == count and all(len(row) == count for row in self.prices.answers)
        if not sized or (self.prices.review is not None and len(self.prices.review) != count):
            raise BundleError(f"manifest: prices need {count} rows of {count} numbers, and as many for review")

    def _check_earlier(self) -> None:
        """Raise `BundleError` where an earlier schema is to hold what it has no place for."""
        if self.default_policy not in {"full", *self.policies}:
            raise BundleError(f"manifest: default policy {self.default_policy!r} is not defined")
        signals = {tuned.signal for tuned in self.policies.values()} - {_ONLY_SIGNAL}
        if self.calibration or self.prices or self.heat or self.default_decide != "argmax" or signals:
            raise BundleError(
                f"manifest: schema {self.schema} has no calibration, prices, decision rules, signals and heat maps"
            )

    @property
    def lacks(self) -> tuple[str, ...]:
        """What a bundle of an earlier schema does not have, each in words; empty if nothing is missing."""
        found = []
        if not self.originals:
            found.append(
                f"encoded originals (schema {self.schema}): loading does not check how image files are decoded and"
                " resized here; export the run again"
            )
        if self.calibration is None:
            found.append(
                f"calibration data (schema {self.schema}): exit policies and decision rules that need them are refused;"
                " export the run again, or run mango-grader calibrate"
            )
        if self.schema < 3:
            found.append(f"heat maps (schema {self.schema}): --explain is refused; export the run again")
        return tuple(found)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        values = asdict(self) | {"preprocess": self.preprocess.to_dict()}
        if self.schema < 3:
            values["policies"] = {name: tuned.values for name, tuned in self.policies.items()}
        for name, first in _SINCE.items():
            if self.schema < first:
                del values[name]
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
    values = root.fields(*plain, *(name for name, first in _SINCE.items() if schema >= first))
    values["provenance"].table()
    found = {
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
            _name(values["policies"], key): _thresholds(one, schema)
            for key, one in _limited(values["policies"], _MOST_POLICIES).items()
        },
        "default_policy": values["default_policy"].text(200),
        "provenance": values["provenance"].value,
        "hashes": {
            _part(Checked(key, "manifest.json.hashes: a part's name")): _hash(one)
            for key, one in _limited(values["hashes"], _MOST_PARTS).items()
        },
    }
    if schema > 1:
        found["originals"] = tuple(_part(one) for one in values["originals"].items(1, MOST_ORIGINALS))
    if schema > 2:
        found["heat"] = tuple(_part(one) for one in values["heat"].items(0, _MOST_EXITS))
        found["default_decide"] = values["default_decide"].text(200)
        found["prices"] = None if values["prices"].value is None else _prices(values["prices"])
        found["calibration"] = None if values["calibration"].value is None else _calibration(values["calibration"])
    return found


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


def _thresholds(value: Checked, schema: int) -> Thresholds:
    if schema < 3:
        return Thresholds(_ONLY_SIGNAL, _numbers(value, 0, _LARGEST_THRESHOLD))
    values = value.fields("signal", "values")
    return Thresholds(values["signal"].text(100), _numbers(values["values"], 0, _LARGEST_THRESHOLD))


def _prices(value: Checked) -> Prices:
    values = value.fields("answers", "review")
    review = values["review"]
    return Prices(
        tuple(_numbers(row, -LARGEST_PRICE, LARGEST_PRICE) for row in values["answers"].items(2, _MOST_CLASSES)),
        None if review.value is None else _numbers(review, -LARGEST_PRICE, LARGEST_PRICE),
    )


def _numbers(value: Checked, least: float, most: float) -> tuple[float, ...]:
    return tuple(one.number(least, most) for one in value.items(0, _MOST_CLASSES))


def _calibration(value: Checked) -> CalibrationInfo:
    values = value.fields("images", "groups", "labelled", "retrained")
    return CalibrationInfo(
        images=values["images"].integer(1, MOST_CALIBRATION_IMAGES),
        groups=values["groups"].integer(1, MOST_CALIBRATION_IMAGES),
        labelled=values["labelled"].flag(),
        retrained=values["retrained"].flag(),
    )
