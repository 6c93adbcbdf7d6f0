"""Presets: from minutes on two cores to the papers' own settings.

Each is imported when it is asked for: to list the presets costs no torch.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from mango_grader.lazy import LazyRegistry, lazy_names

if TYPE_CHECKING:
    from mango_grader.workflow.presets.base import Preset, TrainingSetup

PRESETS: "Mapping[str, Preset]" = LazyRegistry(
    __name__,
    {
        "quick": "quick.QUICK",
        "standard": "standard.STANDARD",
        "paper": "paper.PAPER",
        "paper-120x160": "paper.PAPER_LARGE",
        "paper-imagenet": "paper.PAPER_IMAGENET",
    },
)
"""Name → settings."""

PRESET_HELP: Mapping[str, str] = {
    "quick": "two CPU cores, minutes, 128×128 pixels, at most 13 M multiply-adds",
    "standard": "one GPU, about an hour, 224×224 pixels",
    "paper": "the settings of the method's paper, one exit where it has one, MNet's at 24×32 pixels, days on a CPU",
    "paper-120x160": "those of MNet at 120×160 pixels",
    "paper-imagenet": "those on ImageNet, DSO-NAS's four stages among them, at 224×224 pixels",
}
"""Name → what the preset is for, in a line."""

__all__ = ["PRESETS", "PRESET_HELP", "Preset", "TrainingSetup"]

__getattr__ = lazy_names(__name__, {"base": ("Preset", "TrainingSetup")})


def __dir__() -> list[str]:
    return __all__
