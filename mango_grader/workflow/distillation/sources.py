"""What a run starts from and learns from besides its data, checked before any image is read."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from torch import nn

from mango_grader.automl.search_space import SearchSpace
from mango_grader.datasets import Dataset, Item, read_dataset
from mango_grader.datasets.reading.files import list_files
from mango_grader.datasets.record import DataRecord
from mango_grader.errors import UsageError
from mango_grader.files import digest, file_digest, read_json, write_json
from mango_grader.models import build_network
from mango_grader.workflow.config import AUTO, RunConfig
from mango_grader.workflow.distillation.teacher import check_teacher
from mango_grader.workflow.run.folder import RunFolder
from mango_grader.workflow.run.weights import load_matching, named_start


def check_sources(config: RunConfig, folder: RunFolder) -> None:
    """Check --init-from, --teacher and --unlabelled as far as that is possible without an image.

    A run whose training is over needs none of them any more.

    Args:
        config: of the run.
        folder: of the run.

    Raises:
        UsageError: one of them cannot be used, or weights or teacher are not those that an interrupted run began with.
    """
    if folder.weights.exists() or (config.init_from is None and config.teacher is None):
        return
    classes = _classes(config, folder)
    if config.init_from not in (None, AUTO):
        load_matching(_network(config, len(classes)), config.init_from)
    if config.teacher is not None:
        check_teacher(config, config.teacher, folder, classes)
        if config.teacher.unlabelled is not None:
            unlabelled_images(Path(config.teacher.unlabelled))
    _require_same(config, folder)


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


def unlabelled_images(root: Path) -> Dataset:
    """Return the images in `root` as a data set of one class; raises UsageError if there are none."""
    try:
        files = list_files(root)
    except UsageError as error:
        raise UsageError(f"--unlabelled: {error}") from error
    return Dataset(root, ("none",), tuple(Item(path, 0, path) for path in files.images))


def _require_same(config: RunConfig, folder: RunFolder) -> None:
    """Save the digests of initial weights and teacher; raise UsageError if they are others than the saved ones."""
    teacher = config.teacher.source if config.teacher else None
    now = {"init_from": _digest_of(named_start(config.init_from)), "teacher": _digest_of(teacher)}
    if not folder.sources.exists():
        write_json(folder.sources, now)
    kept = read_json(folder.sources)
    for name, option in (("init_from", "--init-from"), ("teacher", "--teacher")):
        if now[name] != kept[name]:
            raise UsageError(
                f"{option}: it is not what {folder.path} began with; restore it, or start a new run without --resume"
            )


def _digest_of(source: str | None) -> str | None:
    """Return a digest of a run or a file; the name itself where it is that of a published model."""
    if source is None or not Path(source).exists():
        return source
    run = RunFolder(Path(source))
    files = (run.weights, run.weights_before_refit, run.metrics) if run.path.is_dir() else (run.path,)
    return digest("".join(file_digest(path) for path in files if path.exists()).encode())
