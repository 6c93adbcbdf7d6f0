"""Training one known network: the end of every search, and `mango-grader train` by itself."""

import os
from dataclasses import dataclass
from pathlib import Path

import torch

from mango_grader.automl.timetable import Stopwatch
from mango_grader.errors import UsageError
from mango_grader.files import read_json, write_json
from mango_grader.models import NetworkSpec, build_network
from mango_grader.progress import Progress, SilentProgress
from mango_grader.training.batches import BatchSeries, Examples
from mango_grader.training.device import Device, pick_device, seed_everything
from mango_grader.training.learner import Learner
from mango_grader.training.loop import Trainer
from mango_grader.workflow.budget import BudgetPlan, Rates, TrainCost, make_plan
from mango_grader.workflow.config import Places, RunConfig
from mango_grader.workflow.data import PreparedData, on_device
from mango_grader.workflow.distillation import (
    TRAIN_SEED,
    TeacherSource,
    distillation_batches,
    open_teacher,
    plain_batches,
    prepare_run,
    with_dummy_logits,
    with_teacher_cost,
)
from mango_grader.workflow.finalize import already_finished, finalize
from mango_grader.workflow.folder import RunFolder, opened
from mango_grader.workflow.machine import choose_threads, epoch_seconds, fixed_seconds, restored_threads, use_threads
from mango_grader.workflow.weights import load_matching, save_weights


def train(
    out: str | os.PathLike[str],
    config: RunConfig | None,
    *,
    resume: bool = False,
    plan_only: bool = False,
    progress: Progress | None = None,
    moved: Places | None = None,
) -> RunFolder:
    """Train the configuration's network, calibrate, export and report into the folder `out`; return it.

    With `resume`, `config` may be None, and what is done already is not done again; `moved` says where those things
    are now that were moved. `plan_only` stops after the plan.
    Raises UsageError for settings, data or a budget that cannot work, or if the network's exits tell another number
    of classes apart than the data has.
    """
    watch = Stopwatch()
    progress = progress or SilentProgress()
    with restored_threads(), opened(out, config, resume=resume, moved=moved) as (folder, config):
        if config.network is None:
            raise UsageError(f"{folder.path} is a search; continue it with `mango-grader search --resume`")
        if already_finished(folder, config, progress):
            return folder
        spec = config.network
        device = pick_device(config.device)
        prepared = on_device(prepare_run(config, folder, progress), device)
        classes = prepared.dataset.classes
        if spec.classes != len(classes):
            raise UsageError(f"the network tells {spec.classes} classes apart, the data has {len(classes)}: {classes}")
        teacher = open_teacher(config, prepared, folder, device)
        if not folder.plan.exists():
            cost = train_cost(config, spec, prepared, teacher, device)
            threads = None if config.budget is None else torch.get_num_threads()
            rates = Rates(None, cost, fixed_seconds(), threads)
            plan = make_plan(config.budget, rates, None, None, config.train.epochs, watch.seconds, device)
            write_json(folder.plan, plan.to_dict())
        plan = BudgetPlan.from_dict(read_json(folder.plan))
        use_threads(plan.threads)
        progress.note(str(plan))
        if plan_only:
            return folder
        if not folder.network.exists():
            write_json(folder.network, spec.to_dict())
        train_network(folder, config, spec, prepared, teacher, plan.epochs, device, progress)
        finalize(folder, config, prepared, device, progress)
    return folder


def train_network(
    folder: RunFolder,
    config: RunConfig,
    spec: NetworkSpec,
    data: PreparedData,
    teacher: TeacherSource | None,
    epochs: int,
    device: Device,
    progress: Progress,
) -> None:
    """Train `spec` for `epochs` epochs and save its weights, continuing from the folder's checkpoints if any.

    A run that retrains on all images trains twice: without the validation images, for its calibration, then with them.
    """
    training = _Training(folder, config, spec, teacher, epochs, device, progress)
    if config.retrain_on_all:
        training.run("train", data, data.val, folder.weights_before_refit)
        training.run("refit", data.with_val(), None, folder.weights)
    else:
        training.run("train", data, data.val, folder.weights)


@dataclass(frozen=True)
class _Training:
    """What the trainings of one run have in common."""

    folder: RunFolder
    config: RunConfig
    spec: NetworkSpec
    teacher: TeacherSource | None
    epochs: int
    device: Device
    progress: Progress

    def run(self, phase: str, data: PreparedData, watched: Examples | None, weights: Path) -> None:
        """Train the network on the training part of `data` and save its weights, unless they are there already."""
        if weights.exists():
            return
        folder, config = self.folder, self.config
        batches = self._batches(phase, data)
        seed_everything(config.seed, TRAIN_SEED)
        net = build_network(self.spec)
        if (start := config.init_from) is not None:
            loaded = load_matching(net, start)
            self.progress.note(f"{phase}: {loaded} of {len(net.state_dict())} tensors taken over from {start}")
        trainer = Trainer(
            net,
            config.train.lasting(self.epochs),
            batches,
            watched,
            len(data.dataset.classes),
            self.device,
            config.seed,
            folder.training_checkpoint(phase),
            config.checkpoint_every,
            config.distillation,
            phase,
        )
        trainer.run(self.progress)
        before = [row for row in folder.read_history() if row["phase"] != phase]
        folder.write_history(before, trainer.history)
        save_weights(net, weights)

    def _batches(self, phase: str, data: PreparedData) -> BatchSeries:
        if self.config.teacher is None or self.teacher is None:
            return plain_batches(self.config, data)
        return distillation_batches(
            self.config, self.config.teacher, self.teacher, data, self.epochs, self.folder, phase, self.progress
        )


def train_cost(
    config: RunConfig, spec: NetworkSpec, data: PreparedData, teacher: TeacherSource | None, device: Device
) -> TrainCost:
    """Time a few training steps of `spec`, and the teacher's answers, on this machine.

    With a budget, torch goes on with as many threads as are fastest here. Raises UsageError if the recipe asks for what
    the data or the network cannot have.
    """
    if config.train.loss == "ordinal" and not data.dataset.ordinal:
        raise UsageError(
            "train.loss=ordinal: the classes have no order; say --ordinal if they are grades, or set cross_entropy"
        )
    batches = plain_batches(config, data)
    shown = with_dummy_logits(batches, spec.classes) if config.teacher else batches
    learner = Learner(build_network(spec), config.train, shown, spec.classes, device, config.distillation)
    if config.budget is not None:
        learner.begin_epoch(0)
        choose_threads(lambda: learner.step(0), device)
    cost = TrainCost(epoch_seconds(learner, len(data.val), device))
    if config.teacher is not None and teacher is not None:
        cost = with_teacher_cost(cost, teacher, config.teacher.views, batches, data, device)
    return cost.times(1 + len(data.with_val().train) / len(data.train)) if config.retrain_on_all else cost
