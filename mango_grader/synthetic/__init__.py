"""Procedural mangoes with defects, graded by a written rule: for the demo, the tests, and for trying things out."""

from mango_grader.synthetic.backgrounds import BACKGROUNDS
from mango_grader.synthetic.fruit import Fruit, Series
from mango_grader.synthetic.light import Lamp
from mango_grader.synthetic.rule import Kind, Lesion, grade_of, near_limit, severity_of, thumb_area
from mango_grader.synthetic.shape import Pose
from mango_grader.synthetic.specimen import Specimen, Sprite
from mango_grader.synthetic.write import Written, write_synthetic

__all__ = [
    "BACKGROUNDS",
    "Fruit",
    "Kind",
    "Lamp",
    "Lesion",
    "Pose",
    "Series",
    "Specimen",
    "Sprite",
    "Written",
    "grade_of",
    "near_limit",
    "severity_of",
    "thumb_area",
    "write_synthetic",
]
