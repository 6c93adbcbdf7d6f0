"""Calibration: what a line has to know of its belt, learned from frames."""

from mango_grader.line.calibration.palette import learn_palette

__all__ = ["learn_palette"]
