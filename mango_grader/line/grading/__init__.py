"""Grading of fruit: views of one fruit go through the stages together and become one answer."""

from mango_grader.line.grading.answer import Answer
from mango_grader.line.grading.evidence import Evidence
from mango_grader.line.grading.fruit_grader import FruitGrader, fusion_context
from mango_grader.line.grading.fusions import FUSIONS, Fusion, parse_fusion
from mango_grader.line.grading.settings import GradingConfig
from mango_grader.line.grading.work import Round, Work

__all__ = [
    "FUSIONS", "Answer", "Evidence", "FruitGrader", "Fusion", "GradingConfig", "Round", "Work", "fusion_context",
    "parse_fusion",
]  # fmt: skip
