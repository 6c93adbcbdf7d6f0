"""What a run starts from and learns from besides its data, looked at before any image is read."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from torch import nn

from mango_grader.automl.spaces import SearchSpace
from mango_grader.datasets import read_dataset
from mango_grader.datasets.listing import list_files
from mango_grader.datasets.record import DataRecord
from mango_grader.errors import UsageError
from mango_grader.models import build_network
from mango_grader.workflow.config import RunConfig
from mango_grader.workflow.folder import RunFolder
from mango_grader.workflow.teaching.teacher import check_teacher
from mango_grader.workflow.weights import load_matching


def check_sources(config: RunConfig, folder: RunFolder) -> None:
    """Raise UsageError where --init-from, --teacher or --unlabelled cannot serve, as far as that is known by now.

    A run whose training is over needs none of them any more.
    """
    if folder.weights.exists() or (config.init_from is None and config.teacher is None):
        return
    classes = _classes(config, folder)
    if config.init_from is not None:
        load_matching(_network(config, len(classes)), config.init_from)
    if config.teacher is not None:
        check_teacher(config, config.teacher, folder, classes)
        if config.teacher.unlabelled is not None:
            _check_unlabelled(config.teacher.unlabelled)


def _classes(config: RunConfig, folder: RunFolder) -> Sequence[str]:
    if folder.data.exists():
        return DataRecord.load(folder.data).classes
    return read_dataset(config.data.path, config.data.group_by, config.data.ordinal).classes


def _network(config: RunConfig, classes: int) -> nn.Module:
    """Return what the weights are loaded into: the network, or the super net before limits narrow it."""
    if config.network is not None:
        return build_network(config.network)
    assert config.search is not None
    return SearchSpace(replace(config.search.space, classes=classes)).supernet()


def _check_unlabelled(path: str) -> None:
    try:
        list_files(Path(path))
    except UsageError as error:
        raise UsageError(f"--unlabelled: {error}") from error
