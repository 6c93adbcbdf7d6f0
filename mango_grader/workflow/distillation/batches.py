"""The batches that the final training learns from: graded pictures, unlabelled ones, and a teacher's answers."""

from dataclasses import replace

import torch

from mango_grader.progress import Progress
from mango_grader.training.batches import Batches, BatchSeries
from mango_grader.training.device import Device
from mango_grader.training.distillation import DistillationBatches, Mixed, cache_answers
from mango_grader.workflow.config import RunConfig, TeacherConfig
from mango_grader.workflow.distillation.teacher import TeacherSource, measure_teacher
from mango_grader.workflow.run.budget import TrainCost
from mango_grader.workflow.run.data import PreparedData, augmenter
from mango_grader.workflow.run.folder import RunFolder
from mango_grader.workflow.run.machine import seconds_of

TRAIN_SEED = 1
"""Keeps the stream of training batches apart from the search's."""

_UNLABELLED_SEED = 2
_PROBE_STEPS = 3


def plain_batches(config: RunConfig, data: PreparedData) -> BatchSeries:
    """Return the batches without answers; with unlabelled pictures, these fill their share of each."""
    seed, size, augment = config.seed + TRAIN_SEED, config.train.batch_size, augmenter(config)
    if config.teacher is None or data.unlabelled is None:
        return Batches(data.train, size, seed, augment)
    further = min(max(1, round(config.teacher.unlabelled_share * size)), size - 1)
    unlabelled = Batches(data.unlabelled, further, config.seed + _UNLABELLED_SEED, augment)
    return Mixed(Batches(data.train, size - further, seed, augment), unlabelled)


def distillation_batches(
    config: RunConfig,
    settings: TeacherConfig,
    source: TeacherSource,
    data: PreparedData,
    epochs: int,
    folder: RunFolder,
    phase: str,
    progress: Progress,
) -> BatchSeries:
    """Make the teacher, let it answer what the plan has it answer, and return the batches with its answers.

    phase: of the training, each of which keeps answers of its own.
    """
    teacher, batches = source.make(progress), plain_batches(config, data)
    measure_teacher(source.name, teacher, data, folder, config.seed, progress)
    if not settings.views:
        return DistillationBatches.uncached(batches, teacher)
    steps = min(settings.views, epochs) * batches.per_epoch
    answers = cache_answers(batches, teacher, steps, folder.teacher / f"answers-{phase}", progress)
    return DistillationBatches.cached(batches, answers)


def with_dummy_logits(batches: BatchSeries, classes: int) -> BatchSeries:
    """Return the batches with answers that cost nothing and say nothing, to time the student by itself."""
    return DistillationBatches.uncached(batches, lambda images: torch.zeros(len(images), classes))


def with_teacher_cost(
    cost: TrainCost, source: TeacherSource, views: int, batches: BatchSeries, data: PreparedData, device: Device
) -> TrainCost:
    """Return what the training costs with the teacher's making, measuring and answers, timed on this machine."""
    asked = seconds_of(lambda: source.stand_in(batches[0].images), _PROBE_STEPS, device)
    measuring = asked * (len(data.val) + len(data.test)) / batches.batch_size
    made = replace(cost, making=source.making + measuring)
    view = asked * batches.per_epoch
    return replace(made, view=view, views=views) if views else replace(made, epoch=cost.epoch + view)
