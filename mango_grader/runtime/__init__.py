"""Runs models on a sorting line with numpy, Pillow and onnxruntime: no torch, and nothing that opens a socket."""

from typing import TYPE_CHECKING

from mango_grader.lazy import lazy_names

if TYPE_CHECKING:
    from mango_grader.runtime.bundle.archive import Bundle, write_bundle
    from mango_grader.runtime.bundle.golden import Golden, Originals, golden_parts, original_parts
    from mango_grader.runtime.bundle.manifest import SCHEMA, ExitInfo, Manifest
    from mango_grader.runtime.grading.items import ImageItem, make_items
    from mango_grader.runtime.grading.job import Job, Outcome, Results
    from mango_grader.runtime.images.preprocess import ImageSource, Preprocess
    from mango_grader.runtime.inference.exit_policy import ExitAt, ExitPolicy, Full, Threshold, parse_exit_policy
    from mango_grader.runtime.inference.grader import Grader
    from mango_grader.runtime.inference.records import Record
    from mango_grader.runtime.inference.sessions import StagedModel
    from mango_grader.runtime.inference.verify import Finding, verify_bundle

__all__ = [
    "SCHEMA", "Bundle", "ExitAt", "ExitInfo", "ExitPolicy", "Finding", "Full", "Golden", "Grader", "ImageItem",
    "ImageSource", "Job", "Manifest", "Originals", "Outcome", "Preprocess", "Record", "Results", "StagedModel",
    "Threshold", "golden_parts", "make_items", "original_parts", "parse_exit_policy", "verify_bundle", "write_bundle",
]  # fmt: skip

# Names are imported when they are used: training needs the preprocessing and must not start onnxruntime for it.
__getattr__ = lazy_names(
    __name__,
    {
        "bundle.archive": ("Bundle", "write_bundle"),
        "bundle.golden": ("Golden", "Originals", "golden_parts", "original_parts"),
        "inference.grader": ("Grader",),
        "bundle.manifest": ("SCHEMA", "ExitInfo", "Manifest"),
        "inference.exit_policy": ("ExitAt", "Full", "ExitPolicy", "Threshold", "parse_exit_policy"),
        "grading.items": ("ImageItem", "make_items"),
        "grading.job": ("Job", "Outcome", "Results"),
        "images.preprocess": ("ImageSource", "Preprocess"),
        "inference.records": ("Record",),
        "inference.sessions": ("StagedModel",),
        "inference.verify": ("Finding", "verify_bundle"),
    },
    earlier={"Policy": "ExitPolicy", "parse_policy": "parse_exit_policy"},
)


def __dir__() -> list[str]:
    return __all__
