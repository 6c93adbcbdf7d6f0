"""`--teacher` and `--unlabelled`: the teacher of a run, and the batches that its training learns from."""

from mango_grader.workflow.distillation.automatic import with_chosen_teacher
from mango_grader.workflow.distillation.batches import (
    TRAIN_SEED,
    plain_batches,
    training_batches,
    with_dummy_logits,
    with_teacher_cost,
)
from mango_grader.workflow.distillation.sources import check_sources
from mango_grader.workflow.distillation.teacher import TeacherSource, open_teacher
from mango_grader.workflow.distillation.unlabelled import unlabelled_examples

__all__ = [
    "TRAIN_SEED",
    "TeacherSource",
    "check_sources",
    "open_teacher",
    "plain_batches",
    "training_batches",
    "unlabelled_examples",
    "with_chosen_teacher",
    "with_dummy_logits",
    "with_teacher_cost",
]
