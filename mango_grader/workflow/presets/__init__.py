"""Presets: from minutes on two cores to the papers' own settings."""

from collections.abc import Mapping

from mango_grader.workflow.presets.base import Preset, TrainingSetup
from mango_grader.workflow.presets.paper import PAPER, PAPER_LARGE
from mango_grader.workflow.presets.quick import QUICK
from mango_grader.workflow.presets.standard import STANDARD

PRESETS: Mapping[str, Preset] = {"quick": QUICK, "standard": STANDARD, "paper": PAPER, "paper-120x160": PAPER_LARGE}

__all__ = ["PRESETS", "Preset", "TrainingSetup"]
