"""How `search` and `train` begin: the folder is opened, what is done is recognised, and the data are prepared."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Literal

import torch

from mango_grader.automl.methods import METHODS
from mango_grader.automl.timetable import Stopwatch
from mango_grader.datasets.record import DataRecord
from mango_grader.errors import UsageError
from mango_grader.files import write_json
from mango_grader.progress import Progress, SilentProgress
from mango_grader.training.data_parallel import too_few_gpus
from mango_grader.training.device import Device, pick_device
from mango_grader.training.memory import keep_freed_memory
from mango_grader.training.world import World
from mango_grader.workflow.config import Places, RunConfig
from mango_grader.workflow.distillation import check_sources, unlabelled_examples
from mango_grader.workflow.run.context import RunContext
from mango_grader.workflow.run.data import PreparedData, on_device, prepare
from mango_grader.workflow.run.data_changes import UNRECORDED, describe_changes
from mango_grader.workflow.run.folder import RunFolder, opened
from mango_grader.workflow.run.machine import restored_threads

Command = Literal["search", "train"]


@contextmanager
def started_run(
    command: Command,
    out: str | os.PathLike[str],
    config: RunConfig | None,
    *,
    resume: bool,
    moved: Places | None,
    progress: Progress | None,
    world: World | None = None,
) -> Iterator[RunContext | None]:
    """Hold the folder of a run, and yield what its steps work with; None where the run is finished already.

    Args:
        command: which of the two begins or continues the run.
        out: the run folder.
        config: of a new run; None takes that of the folder.
        resume: whether the folder may hold a run, which is then continued.
        moved: where those things are now that were moved since the run began.
        progress: told what happens; None keeps it quiet.
        world: the ranks that share its training steps; None for this process alone.

    Raises:
        UsageError: the folder, the settings or the data cannot be used, the other command began the run, or its steps
            cannot be shared.
    """
    watch, progress = Stopwatch(), progress or SilentProgress()
    with restored_threads(), opened(out, config, resume=resume, moved=moved) as (folder, config):
        _require_command(command, folder, config)
        if folder.finished:
            _describe_finished(folder, config, progress)
            yield None
            return
        keep_freed_memory()
        device = _pick_device(config, world)
        if world is not None:
            progress.note(f"{world.rank.size} processes share the training steps")
        data = on_device(prepare_run(config, folder, progress), device)
        yield RunContext(folder, config, data, device, progress, watch)


def prepare_run(config: RunConfig, folder: RunFolder, progress: Progress) -> PreparedData:
    """Return the run's data, with the unlabelled images of --unlabelled if there are any.

    What else the run is made from is checked first. Paths in the run folder's configuration are updated once moved data
    have proved to be the same.

    Args:
        config: of the run, with the paths where the data are now.
        folder: of the run.
        progress: told what happens.

    Raises:
        UsageError: data, weights, teacher or unlabelled images cannot be used, or are not those that the run began
            with.
    """
    check_sources(config, folder)
    data = prepare(config.data, folder, progress)
    if folder.config.exists() and folder.read_config() != config:
        write_json(folder.config, config.to_dict())
    if config.teacher is None or config.teacher.unlabelled is None:
        return data
    unlabelled = unlabelled_examples(Path(config.teacher.unlabelled), data, folder, progress)
    return replace(data, unlabelled=unlabelled)


def _pick_device(config: RunConfig, world: World | None) -> Device:
    """Return where the run's networks compute, and with whom; raises UsageError if its steps cannot be shared."""
    if world is None:
        return pick_device(config.device)
    if ":" in config.device:
        raise UsageError(f"--device {config.device}: torchrun gives every process a GPU of its own; use --device cuda")
    device = pick_device(config.device)
    if device.is_gpu and torch.cuda.device_count() < world.rank.local_size:
        raise UsageError(f"{too_few_gpus(world)}, or use --device cpu")
    method = None if config.search is None else config.search.method.name
    if method is not None and not METHODS[method].opens_one_path:
        single = ", ".join(name for name in METHODS if METHODS[name].opens_one_path)
        raise UsageError(
            f"--method {method} opens several candidates at once, which processes cannot share: start it without"
            f" torchrun, or choose one of {single}"
        )
    return replace(device, world=world)


def _require_command(command: Command, folder: RunFolder, config: RunConfig) -> None:
    if command == "search" and config.search is None:
        raise UsageError(
            f"{folder.path} holds the training of a given network; continue it with `mango-grader train --resume`"
        )
    if command == "train" and config.network is None:
        raise UsageError(f"{folder.path} holds a search; continue it with `mango-grader search --resume`")


def _describe_finished(folder: RunFolder, config: RunConfig, progress: Progress) -> None:
    """Report that nothing is left to do, and how the run's data have changed since."""
    progress.note(f"{folder.path} is finished; nothing is left to do")
    record = DataRecord.load(folder.data) if folder.data.exists() else None
    changes = UNRECORDED if record is None else describe_changes(record, folder.own_labels(config.data), progress)
    if changes is not None:
        progress.note(f"data: {changes}")
