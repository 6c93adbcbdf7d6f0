"""Runs models on a sorting line with numpy, Pillow and onnxruntime: no torch, and nothing that opens a socket."""

from typing import TYPE_CHECKING

from mango_grader.lazy import lazy_names

if TYPE_CHECKING:
    from mango_grader.runtime.bundle.archive import Bundle, write_bundle
    from mango_grader.runtime.bundle.calibration import CalibrationData, calibration_parts
    from mango_grader.runtime.bundle.golden import Golden, Originals, golden_parts, original_parts
    from mango_grader.runtime.bundle.manifest import SCHEMA, CalibrationInfo, ExitInfo, Manifest, Prices, Thresholds
    from mango_grader.runtime.calibration.fruit import AnsweredFruit, CalibrationFruit
    from mango_grader.runtime.calibration.recalibrate import Defaults, Recalibration, recalibrate
    from mango_grader.runtime.decisions import Argmax, Conformal, Cost, DecisionRule, Decisions, parse_decision_rule
    from mango_grader.runtime.exits import (
        Budget,
        CalibrationSet,
        Deadline,
        ExitAt,
        ExitPolicy,
        Full,
        Reached,
        Risk,
        StageTimes,
        Threshold,
        parse_exit_policy,
    )
    from mango_grader.runtime.grading.items import ImageItem, make_items
    from mango_grader.runtime.grading.job import Job, Outcome, Results
    from mango_grader.runtime.images.preprocess import ImageSource, Preprocess
    from mango_grader.runtime.inference.grader import Grader
    from mango_grader.runtime.inference.heat_map import HeatMap
    from mango_grader.runtime.inference.host_profile import (
        DecodeCost,
        Host,
        HostProfile,
        Memory,
        StageLatency,
        Throughput,
    )
    from mango_grader.runtime.inference.precision import PrecisionChoice, choose_precision
    from mango_grader.runtime.inference.records import Record
    from mango_grader.runtime.inference.sessions import StagedModel
    from mango_grader.runtime.inference.verify import Finding, verify_bundle

__all__ = [
    "SCHEMA", "AnsweredFruit", "Argmax", "Budget", "Bundle", "CalibrationData", "CalibrationFruit", "CalibrationInfo",
    "CalibrationSet", "Conformal", "Cost", "Deadline", "DecisionRule", "Decisions", "DecodeCost", "Defaults", "ExitAt",
    "ExitInfo", "ExitPolicy", "Finding", "Full", "Golden", "Grader", "HeatMap", "Host", "HostProfile", "ImageItem",
    "ImageSource", "Job", "Manifest", "Memory", "Originals", "Outcome", "PrecisionChoice", "Preprocess", "Prices",
    "Reached", "Recalibration", "Record", "Results", "Risk", "StageLatency", "StageTimes", "StagedModel", "Threshold",
    "Thresholds", "Throughput", "calibration_parts", "choose_precision", "golden_parts", "make_items",
    "original_parts", "parse_decision_rule", "parse_exit_policy", "recalibrate", "verify_bundle", "write_bundle",
]  # fmt: skip

# Names are imported when they are used: training needs the preprocessing and must not start onnxruntime for it.
__getattr__ = lazy_names(
    __name__,
    {
        "bundle.archive": ("Bundle", "write_bundle"),
        "bundle.golden": ("Golden", "Originals", "golden_parts", "original_parts"),
        "inference.grader": ("Grader",),
        "bundle.calibration": ("CalibrationData", "calibration_parts"),
        "bundle.manifest": ("SCHEMA", "CalibrationInfo", "ExitInfo", "Manifest", "Prices", "Thresholds"),
        "calibration.fruit": ("AnsweredFruit", "CalibrationFruit"),
        "calibration.recalibrate": ("Defaults", "Recalibration", "recalibrate"),
        "decisions": ("Argmax", "Conformal", "Cost", "DecisionRule", "Decisions", "parse_decision_rule"),
        "exits": (
            "Budget",
            "CalibrationSet",
            "Deadline",
            "ExitAt",
            "Full",
            "ExitPolicy",
            "Reached",
            "Risk",
            "StageTimes",
            "Threshold",
            "parse_exit_policy",
        ),
        "grading.items": ("ImageItem", "make_items"),
        "grading.job": ("Job", "Outcome", "Results"),
        "images.preprocess": ("ImageSource", "Preprocess"),
        "inference.host_profile": ("DecodeCost", "Host", "HostProfile", "Memory", "StageLatency", "Throughput"),
        "inference.heat_map": ("HeatMap",),
        "inference.precision": ("PrecisionChoice", "choose_precision"),
        "inference.records": ("Record",),
        "inference.sessions": ("StagedModel",),
        "inference.verify": ("Finding", "verify_bundle"),
    },
    earlier={"Policy": "ExitPolicy", "parse_policy": "parse_exit_policy"},
)


def __dir__() -> list[str]:
    return __all__
