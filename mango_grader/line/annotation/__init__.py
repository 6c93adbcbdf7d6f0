"""Annotation: what the line sees and decides, drawn into its frames, and written as a clip."""

from mango_grader.line.annotation.clip import AnnotatedClip
from mango_grader.line.annotation.drawing import Annotator

__all__ = ["AnnotatedClip", "Annotator"]
