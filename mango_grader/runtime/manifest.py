"""What a .mango file says about itself: classes, preprocessing, exits, policies, where it came from."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from mango_grader.errors import BundleError
from mango_grader.runtime.preprocess import Preprocess

SCHEMA = 1


@dataclass(frozen=True)
class ExitInfo:
    """One exit; `macs` and `params` count everything an image passes on the way to it.

    Its probabilities are softmax(logits / `temperature`).
    """

    name: str
    macs: int
    params: int
    temperature: float


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """The description of a bundle; raises `BundleError` where it contradicts itself.

    `stages` maps a precision ("fp32", "int8") to its stage files, one per exit and in their order; `full` is the
    graph with all exits as outputs "logits0", "logits1", …. `policies` maps a name to one confidence threshold
    per exit but the last. `hashes` maps each file but manifest.json to its SHA-256.
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
    provenance: Mapping[str, Any] = field(default_factory=dict)
    hashes: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        exits = len(self.exits)
        if self.schema != SCHEMA:
            raise BundleError(f"manifest: schema {self.schema} cannot be written, only {SCHEMA}")
        if len(self.classes) < 2 or len(set(self.classes)) != len(self.classes):
            raise BundleError("manifest: needs two or more classes, all different")
        if not exits or not all(math.isfinite(info.temperature) and info.temperature > 0 for info in self.exits):
            raise BundleError("manifest: needs exits with temperatures above 0")
        if "fp32" not in self.stages or any(len(files) != exits for files in self.stages.values()):
            raise BundleError(f"manifest: each precision, fp32 among them, needs {exits} stages")
        if any(len(thresholds) != exits - 1 for thresholds in self.policies.values()):
            raise BundleError(f"manifest: each policy needs {exits - 1} thresholds")
        if self.default_policy not in {"full", *self.policies}:
            raise BundleError(f"manifest: default policy {self.default_policy!r} is not defined")

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self) | {"preprocess": self.preprocess.to_dict()}

    def to_json(self) -> bytes:
        """Return the bytes of manifest.json."""
        return (json.dumps(self.to_dict(), indent=2, ensure_ascii=False) + "\n").encode()

    @classmethod
    def from_json(cls, data: bytes) -> Self:
        """Read manifest.json; raise `BundleError` if it is damaged or of a later schema."""
        try:
            values = json.loads(data)
            schema = int(values["schema"])
        except (ValueError, KeyError, TypeError) as error:
            raise BundleError(f"manifest.json cannot be read: {_line(error)}") from error
        if schema > SCHEMA:
            raise BundleError(f"the model has schema {schema}, this version reads {SCHEMA}: upgrade mango-grader")
        try:
            return cls._from_dict(values)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise BundleError(f"manifest.json is damaged: {_line(error)}") from error

    @classmethod
    def _from_dict(cls, values: Mapping[str, Any]) -> Self:
        return cls(
            schema=int(values["schema"]),
            classes=tuple(str(name) for name in values["classes"]),
            ordinal=bool(values["ordinal"]),
            preprocess=Preprocess.from_dict(values["preprocess"]),
            exits=tuple(_exit_info(one) for one in values["exits"]),
            stages={str(key): tuple(map(str, files)) for key, files in values["stages"].items()},
            full=str(values["full"]),
            policies={str(key): tuple(map(float, numbers)) for key, numbers in values["policies"].items()},
            default_policy=str(values["default_policy"]),
            provenance=dict(values["provenance"]),
            hashes={str(key): str(one) for key, one in values["hashes"].items()},
        )


def _exit_info(values: Mapping[str, Any]) -> ExitInfo:
    return ExitInfo(str(values["name"]), int(values["macs"]), int(values["params"]), float(values["temperature"]))


def _line(error: Exception) -> str:
    return f"{type(error).__name__}: " + " ".join(str(error).split())
