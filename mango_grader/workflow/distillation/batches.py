"""The batches that the final training learns from: labelled images, unlabelled ones, and a teacher's logits."""

from dataclasses import replace

import torch

from mango_grader.training.batches import Batches, BatchSeries
from mango_grader.training.distillation import DistillationBatches, MixedBatches, cache_logits
from mango_grader.training.mixup import MixedUpBatches
from mango_grader.training.teachers import fitted
from mango_grader.workflow.config import RunConfig
from mango_grader.workflow.distillation.teacher import TeacherSource, measure_teacher
from mango_grader.workflow.run.budget import TrainCost
from mango_grader.workflow.run.context import RunContext
from mango_grader.workflow.run.data import PreparedData, augmenter
from mango_grader.workflow.run.machine import seconds_of

TRAIN_SEED = 1
"""Added to the run's seed, so that the training has other batches than the search."""

_UNLABELLED_SEED = 2
_PROBE_STEPS = 3


def plain_batches(config: RunConfig, data: PreparedData) -> BatchSeries:
    """Return the batches of a training without a teacher's logits.

    Args:
        config: names the batch size, the augmentation and the share of unlabelled images in a batch.
        data: whose training part, and unlabelled images if any, make the batches.
    """
    seed, size, augment = config.seed + TRAIN_SEED, config.train.batch_size, augmenter(config)
    batches: BatchSeries = Batches(data.train, size, seed, augment)
    if config.teacher is None:
        return batches
    if data.unlabelled is not None:
        further = min(max(1, round(config.teacher.unlabelled_share * size)), size - 1)
        unlabelled = Batches(data.unlabelled, further, config.seed + _UNLABELLED_SEED, augment)
        batches = MixedBatches(Batches(data.train, size - further, seed, augment), unlabelled)
    return MixedUpBatches(batches, config.teacher.mixup, seed) if config.teacher.mixup else batches


def training_batches(run: RunContext, source: TeacherSource | None, phase: str, epochs: int) -> BatchSeries:
    """Return the batches of a training: with a teacher's logits if there is a teacher, else plain ones.

    It makes the teacher, measures it, and asks it for the logits of the first `teacher.views` epochs, which are kept in
    the run folder.

    Args:
        run: the run, whose training part the batches are of.
        source: what the teacher is made from; None without a teacher.
        phase: name of the training, which has logits of its own.
        epochs: how long the training is.
    """
    batches = plain_batches(run.config, run.data)
    if source is None or run.config.teacher is None:
        return batches
    teacher, seen = source.make(), _seen_by(source, run)
    measure_teacher(source.name, teacher, seen)
    shown = batches if seen is run else plain_batches(seen.config, seen.data)
    if not (views := run.config.teacher.views):
        return DistillationBatches.uncached(batches, teacher, shown)
    steps, kept = min(views, epochs) * batches.per_epoch, run.folder.teacher / f"answers-{phase}"
    return DistillationBatches.cached(batches, cache_logits(shown, teacher, steps, kept, run.progress))


def _seen_by(source: TeacherSource, run: RunContext) -> RunContext:
    """Return the run with images of the teacher's size; their batches have the student's order and augmentation."""
    return run if source.size is None else run.at_size(*source.size)


def with_dummy_logits(batches: BatchSeries, classes: int) -> BatchSeries:
    """Return batches with logits that are all zero, to time the student without its teacher.

    Args:
        batches: without a teacher's logits.
        classes: number of logits for an image.
    """
    return DistillationBatches.uncached(batches, lambda images: torch.zeros(len(images), classes))


def with_teacher_cost(cost: TrainCost, source: TeacherSource, run: RunContext, batches: BatchSeries) -> TrainCost:
    """Add to the cost of a training what its teacher takes: to be made, to be measured, and to answer.

    Args:
        cost: seconds of the training without its teacher.
        source: what the teacher is made from; its answers are timed here.
        run: the run, with a teacher among its settings.
        batches: what the student is shown.
    """
    assert run.config.teacher is not None
    views = run.config.teacher.views
    images = fitted(batches[0].images, *source.size) if source.size else batches[0].images
    asked = seconds_of(lambda: source.stand_in(images), _PROBE_STEPS, run.device)
    measuring = asked * (len(run.data.val) + len(run.data.test)) / batches.batch_size
    made = replace(cost, preparation=source.make_seconds + measuring)
    view = asked * batches.per_epoch
    return replace(made, view=view, views=views) if views else replace(made, epoch=cost.epoch + view)
