"""`--teacher` and `--unlabelled`: who teaches a run, and the batches that it learns from."""

from mango_grader.workflow.teaching.lessons import TRAIN_SEED, rehearsed, taught, untaught, with_teacher
from mango_grader.workflow.teaching.teacher import TeacherSource, open_teacher
from mango_grader.workflow.teaching.unlabelled import prepare_run

__all__ = [
    "TRAIN_SEED",
    "TeacherSource",
    "open_teacher",
    "prepare_run",
    "rehearsed",
    "taught",
    "untaught",
    "with_teacher",
]
