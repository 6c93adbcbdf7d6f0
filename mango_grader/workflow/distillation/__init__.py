"""`--teacher` and `--unlabelled`: who teaches a run, and the batches that it learns from."""

from mango_grader.workflow.distillation.batches import (
    TRAIN_SEED,
    distillation_batches,
    plain_batches,
    with_dummy_logits,
    with_teacher_cost,
)
from mango_grader.workflow.distillation.teacher import TeacherSource, open_teacher
from mango_grader.workflow.distillation.unlabelled import prepare_run

__all__ = [
    "TRAIN_SEED",
    "TeacherSource",
    "distillation_batches",
    "open_teacher",
    "plain_batches",
    "prepare_run",
    "with_dummy_logits",
    "with_teacher_cost",
]
