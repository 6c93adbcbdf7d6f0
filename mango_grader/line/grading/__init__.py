"""Grading of fruit: views of one fruit go through the stages together and become one answer."""

from mango_grader.line.grading.settings import GradingConfig

__all__ = ["GradingConfig"]
