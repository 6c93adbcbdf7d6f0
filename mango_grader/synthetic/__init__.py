"""Procedural mangoes with defects, graded by a written rule: for the demo, the tests, and for trying things out."""

from mango_grader.synthetic.backgrounds import BACKGROUNDS
from mango_grader.synthetic.fruit import Fruit, Series
from mango_grader.synthetic.rule import Kind, Lesion, grade_of, near_limit, severity_of, thumb_area
from mango_grader.synthetic.write import Written, write_synthetic

__all__ = [
    "BACKGROUNDS",
    "Fruit",
    "Kind",
    "Lesion",
    "Series",
    "Written",
    "grade_of",
    "near_limit",
    "severity_of",
    "thumb_area",
    "write_synthetic",
]
