"""Finders: where is fruit in a frame? Each is one module, and the settings that build it."""

from collections.abc import Mapping

from mango_grader.lazy import LazyRegistry
from mango_grader.line.finders.base import Finder, FinderSettings

__all__ = ["FINDERS", "Finder", "FinderSettings"]

FINDERS: Mapping[str, type[FinderSettings]] = LazyRegistry(
    __name__,
    {
        "palette": "palette.PaletteSettings",
        "detector": "detector.DetectorSettings",
        "whole-frame": "whole_frame.WholeFrame",
    },
)
"""The settings of every finder, by the `kind` in `[finder]`."""
