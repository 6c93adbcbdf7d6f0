"""Who teaches a run: a run or bundle of ours, or any ONNX classifier, made to answer in the data's own classes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import Tensor

from mango_grader.errors import UsageError
from mango_grader.files import read_json
from mango_grader.runtime import Bundle
from mango_grader.training.batches import Examples
from mango_grader.training.device import Device
from mango_grader.training.distillation import Teacher, ask
from mango_grader.training.teachers import OnnxTeacher, TorchTeacher
from mango_grader.workflow.config import RunConfig, TeacherConfig
from mango_grader.workflow.data import PreparedData
from mango_grader.workflow.folder import RunFolder
from mango_grader.workflow.weights import load_network

_SAMPLE = 16  # training pictures that show what kind of answers a graph gives


@dataclass(frozen=True)
class Converted:
    """A teacher whose answers are turned into logits of the data's classes."""

    network: Teacher
    convert: Callable[[Tensor], Tensor]

    def __call__(self, images: Tensor) -> Tensor:
        """Answer, (N, classes)."""
        return self.convert(self.network(images))


def open_teacher(config: RunConfig, data: PreparedData, device: Device) -> Teacher | None:
    """Return the run's teacher, None if it has none; raises UsageError for one that cannot teach these classes."""
    if config.teacher is None:
        return None
    path = Path(config.teacher.source)
    try:
        if path.is_dir():
            return _of_run(RunFolder(path), data, device)
        if path.suffix == ".mango":
            return _of_bundle(path, config.teacher, data)
        return _of_onnx(path, config.teacher, data)
    except UsageError as error:
        raise UsageError(f"--teacher {path}: {error}") from error


def _of_run(run: RunFolder, data: PreparedData, device: Device) -> Teacher:
    run.read_config()  # says so where it is no run
    net = load_network(run)
    if not run.metrics.exists():
        raise UsageError("the run is not finished; finish it with --resume")
    metrics = read_json(run.metrics)
    return _by_name(TorchTeacher(net, device), metrics["classes"], metrics["calibration"]["temperatures"][-1], data)


def _of_bundle(path: Path, config: TeacherConfig, data: PreparedData) -> Teacher:
    bundle = Bundle.open(path)
    manifest = bundle.manifest
    size = manifest.preprocess.height, manifest.preprocess.width
    network = OnnxTeacher(bundle.read(manifest.full), size, config.mean, config.std)
    return _by_name(network, manifest.classes, manifest.exits[-1].temperature, data)


def _by_name(network: Teacher, classes: Sequence[str], temperature: float, data: PreparedData) -> Teacher:
    """Return its calibrated logits in the data's order of classes."""
    if set(classes) != set(data.dataset.classes):
        raise UsageError(f"it tells {', '.join(classes)} apart, the data have {', '.join(data.dataset.classes)}")
    order = [list(classes).index(name) for name in data.dataset.classes]
    return Converted(network, lambda logits: logits[:, order] / temperature)


def _of_onnx(path: Path, config: TeacherConfig, data: PreparedData) -> Teacher:
    size = config.height or data.preprocess.height, config.width or data.preprocess.width
    network = OnnxTeacher(str(path), size, config.mean, config.std)
    sample = ask(network, _first(data.train))
    classes = data.dataset.classes
    if sample.shape[1] != len(classes):
        raise UsageError(f"it tells {sample.shape[1]} classes apart, the data have {len(classes)}")
    if (sample >= 0).all() and np.allclose(sample.sum(1), 1, atol=1e-3):  # probabilities already
        return Converted(network, lambda answers: answers.clamp(min=1e-7).log())
    return network


def _first(examples: Examples) -> Examples:
    return Examples(examples.images, examples.labels, examples.rows[:_SAMPLE])


def accuracy(teacher: Teacher, examples: Examples) -> float:
    """Return the share of examples that the teacher answers rightly."""
    return float((ask(teacher, examples).argmax(1) == examples.targets).mean())
