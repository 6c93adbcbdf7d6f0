"""Calibration: what a line has to know of its belt, learned from frames."""

from mango_grader.line.calibration.palette import learn_palette
from mango_grader.line.calibration.palette_estimate import PaletteEstimate, estimate_palette

__all__ = ["PaletteEstimate", "estimate_palette", "learn_palette"]
