"""What a sorting line installs: numpy, Pillow and onnxruntime; no torch, and nothing that opens a socket."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mango_grader.runtime.bundle import Bundle, Golden, golden_parts, write_bundle
    from mango_grader.runtime.grader import Grader
    from mango_grader.runtime.manifest import SCHEMA, ExitInfo, Manifest
    from mango_grader.runtime.policy import ExitAt, Full, Policy, Threshold, parse_policy
    from mango_grader.runtime.preprocess import ImageSource, Preprocess
    from mango_grader.runtime.records import Record
    from mango_grader.runtime.sessions import StagedModel
    from mango_grader.runtime.verify import Finding

__all__ = [
    "SCHEMA", "Bundle", "ExitAt", "ExitInfo", "Finding", "Full", "Golden", "Grader", "ImageSource", "Manifest",
    "Policy", "Preprocess", "Record", "StagedModel", "Threshold", "golden_parts", "parse_policy", "write_bundle",
]  # fmt: skip

# Training imports the preprocessing and must not start onnxruntime for it, so names are fetched when asked for.
_HOMES = {
    "bundle": ("Bundle", "Golden", "golden_parts", "write_bundle"),
    "grader": ("Grader",),
    "manifest": ("SCHEMA", "ExitInfo", "Manifest"),
    "policy": ("ExitAt", "Full", "Policy", "Threshold", "parse_policy"),
    "preprocess": ("ImageSource", "Preprocess"),
    "records": ("Record",),
    "sessions": ("StagedModel",),
    "verify": ("Finding",),
}


def __getattr__(name: str) -> Any:
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{home}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
