"""Training one known network: the end of every search, and `mango-grader train` by itself."""

import os
import time
from pathlib import Path

from mango_grader.errors import UsageError
from mango_grader.files import read_json, write_json
from mango_grader.models import NetworkSpec, build_network
from mango_grader.progress import Progress, SilentProgress
from mango_grader.training.batches import Batches
from mango_grader.training.device import Device, pick_device, seed_everything
from mango_grader.training.learner import Learner
from mango_grader.training.loop import Trainer
from mango_grader.workflow.budget import Rates, StepPlan, make_plan, timed
from mango_grader.workflow.conclude import FIXED_SECONDS, conclude
from mango_grader.workflow.config import RunConfig
from mango_grader.workflow.data import PreparedData, augmenter, on_device, prepare
from mango_grader.workflow.folder import RunFolder, open_run
from mango_grader.workflow.weights import load_matching, save_weights

_PROBE_STEPS = 3
_TRAIN_SEED = 1  # keeps the stream of training batches apart from the search's


def train(
    out: str | os.PathLike[str],
    config: RunConfig | None,
    *,
    resume: bool = False,
    plan_only: bool = False,
    progress: Progress | None = None,
) -> RunFolder:
    """Train the configuration's network, calibrate, export and report into the folder `out`; return it.

    With `resume`, `config` may be None, and what is done already is not done again. `plan_only` stops after the plan.
    Raises UsageError for settings, data or a budget that cannot work, or if the network's exits tell another number
    of classes apart than the data has.
    """
    started = time.monotonic()
    progress = progress or SilentProgress()
    folder, config = open_run(out, config, resume=resume)
    if config.network is None:
        raise UsageError(f"{folder.path} is a search; continue it with `mango-grader search --resume`")
    spec = config.network
    with folder.locked():
        device = pick_device(config.device)
        data = on_device(prepare(config.data, folder, progress), device)
        classes = data.dataset.classes
        if spec.classes != len(classes):
            raise UsageError(f"the network tells {spec.classes} classes apart, the data has {len(classes)}: {classes}")
        if not folder.plan.exists():
            seconds = epoch_seconds(config, spec, data, device)
            rates = Rates(0.0, 0.0, 0.0, 0.0, seconds, FIXED_SECONDS)
            spent = time.monotonic() - started
            plan = make_plan(config.budget, rates, None, None, config.train.epochs, spent, device)
            write_json(folder.plan, plan.to_dict())
        plan = StepPlan.from_dict(read_json(folder.plan))
        progress.note(str(plan))
        if plan_only:
            return folder
        if not folder.network.exists():
            write_json(folder.network, spec.to_dict())
        train_network(folder, config, spec, data, plan.epochs, device, progress)
        conclude(folder, config, data, device, progress)
    return folder


def train_network(
    folder: RunFolder,
    config: RunConfig,
    spec: NetworkSpec,
    data: PreparedData,
    epochs: int,
    device: Device,
    progress: Progress,
) -> None:
    """Train `spec` for `epochs` epochs and save its weights, continuing from the folder's checkpoint if any."""
    if folder.weights.exists():
        return
    seed_everything(config.seed, _TRAIN_SEED)
    net = build_network(spec)
    if config.init_from is not None:
        loaded = load_matching(net, RunFolder(Path(config.init_from)).weights)
        progress.note(f"train: {loaded} of {len(net.state_dict())} tensors taken over from {config.init_from}")
    trainer = Trainer(
        net,
        config.train.lasting(epochs),
        Batches(data.train, config.train.batch_size, config.seed + _TRAIN_SEED, augmenter(config)),
        data.val,
        len(data.dataset.classes),
        device,
        config.seed,
        folder.train_checkpoint,
        config.checkpoint_every,
    )
    trainer.run(progress)
    searched = [row for row in folder.read_history() if row["phase"] != "train"]
    folder.write_history(searched, trainer.history)
    save_weights(net, folder.weights)


def epoch_seconds(config: RunConfig, spec: NetworkSpec, data: PreparedData, device: Device) -> float:
    """Time a few training steps of `spec` on this machine and return the estimated seconds of one epoch.

    Raises UsageError if the recipe asks for what the data or the network cannot have.
    """
    if config.train.loss == "ordinal" and not data.dataset.ordinal:
        raise UsageError(
            "train.loss=ordinal: the classes have no order; say --ordinal if they are grades, or set cross_entropy"
        )
    batches = Batches(data.train, config.train.batch_size, config.seed, augmenter(config))
    learner = Learner(build_network(spec), config.train, batches, spec.classes, device)
    learner.begin_epoch(0)
    watching = len(data.val) / 3  # a forward pass costs about a third of a training step
    steps = batches.per_epoch + watching / batches.batch_size
    return timed(lambda: learner.step(0), _PROBE_STEPS, device) * steps
