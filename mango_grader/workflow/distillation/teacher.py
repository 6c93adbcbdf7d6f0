"""Who teaches a run: a run or bundle of ours, any ONNX classifier, or a pretrained network of torchvision's."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from torch import Tensor

from mango_grader.errors import MangoError, UsageError
from mango_grader.files import read_json, write_json
from mango_grader.models import AnytimeClassifier, NetworkSpec
from mango_grader.models.baselines.torchvision import classifier_spec
from mango_grader.progress import Progress
from mango_grader.runtime import Bundle
from mango_grader.training.batches import Examples
from mango_grader.training.checkpoint import load_checkpoint, save_checkpoint
from mango_grader.training.device import Device
from mango_grader.training.distillation import Teacher, TeacherFigures, ask, teacher_accuracy
from mango_grader.training.linear_probe import LinearProbe, fit_probe
from mango_grader.training.teachers import OnnxTeacher, TorchTeacher
from mango_grader.workflow.config import RunConfig, TeacherConfig
from mango_grader.workflow.distillation.pretrained import Pretrained, check_pretrained
from mango_grader.workflow.run.data import PreparedData
from mango_grader.workflow.run.folder import RunFolder
from mango_grader.workflow.run.weights import load_network

_SAMPLE = 16  # training pictures that show what kind of answers a graph gives


class TeacherSource(Protocol):
    """What a teacher is made from."""

    @property
    def name(self) -> str:
        """How reports call it."""

    @property
    def stand_in(self) -> Teacher:
        """Answers in the time that the teacher will take, once it is made."""

    @property
    def making(self) -> float:
        """Estimated seconds of `make`."""

    def make(self, progress: Progress) -> Teacher:
        """Return the teacher; what this learns from are training pictures alone."""


@dataclass(frozen=True)
class Finished:
    """A teacher that needs no making."""

    name: str
    stand_in: Teacher
    making: float = 0.0

    def make(self, progress: Progress) -> Teacher:
        """Return it."""
        return self.stand_in


@dataclass(frozen=True)
class Converted:
    """A teacher whose answers are turned into logits of the data's classes."""

    network: Teacher
    convert: Callable[[Tensor], Tensor]

    def __call__(self, images: Tensor) -> Tensor:
        """Answer, (N, classes)."""
        return self.convert(self.network(images))


def open_teacher(config: RunConfig, data: PreparedData, folder: RunFolder, device: Device) -> TeacherSource | None:
    """Return what the run's teacher is made from, None if nobody teaches or the training is over.

    Raises UsageError for one that cannot teach these classes.
    """
    if config.teacher is None or folder.weights.exists():
        return None
    source = Path(config.teacher.source)
    with _blaming(source):
        if source.is_dir():
            return Finished(source.name, _of_run(RunFolder(source), data, device))
        if source.suffix == ".mango":
            return Finished(source.name, _of_bundle(source, config.teacher, data))
        if source.suffix == ".onnx":
            return Finished(source.name, _of_onnx(source, config, config.teacher, data, folder))
        return Pretrained(
            _classifier(source.name, config, data.dataset.classes), config.teacher.recipe, config, data, folder, device
        )


def check_teacher(config: RunConfig, teacher: TeacherConfig, folder: RunFolder, classes: Sequence[str]) -> None:
    """Raise UsageError for a teacher that cannot teach these classes, as far as that is known without an image."""
    source = Path(teacher.source)
    with _blaming(source):
        if source.is_dir():
            _, metrics = _finished_run(RunFolder(source))
            _order(metrics["classes"], classes)
        elif source.suffix == ".mango":
            bundle = Bundle.open(source)
            _order(bundle.manifest.classes, classes)
            _graph(bundle, teacher)
        elif source.suffix == ".onnx":
            size = teacher.height or config.data.height, teacher.width or config.data.width
            OnnxTeacher(str(source), size, teacher.mean, teacher.std)
        else:
            _classifier(source.name, config, classes)
            check_pretrained(source.name, folder)


@contextmanager
def _blaming(source: Path) -> Iterator[None]:
    try:
        yield
    except MangoError as error:
        raise UsageError(f"--teacher {source}: {error}") from error


def _classifier(name: str, config: RunConfig, classes: Sequence[str]) -> NetworkSpec:
    return classifier_spec(name, (3, config.data.height, config.data.width), len(classes))


def _finished_run(run: RunFolder) -> tuple[AnytimeClassifier, Mapping[str, Any]]:
    """Return the network that its temperatures are of, and its metrics."""
    run.read_config()  # says so where it is no run
    net = load_network(run, before_refit=True)
    if not run.metrics.exists():
        raise UsageError("the run is not finished; finish it with --resume")
    return net, read_json(run.metrics)


def _of_run(run: RunFolder, data: PreparedData, device: Device) -> Teacher:
    net, metrics = _finished_run(run)
    return _by_name(TorchTeacher(net, device), metrics["classes"], metrics["calibration"]["temperatures"][-1], data)


def _of_bundle(path: Path, config: TeacherConfig, data: PreparedData) -> Teacher:
    bundle = Bundle.open(path)
    manifest = bundle.manifest
    return _by_name(_graph(bundle, config), manifest.classes, manifest.exits[-1].temperature, data)


def _graph(bundle: Bundle, config: TeacherConfig) -> OnnxTeacher:
    preprocess = bundle.manifest.preprocess
    size = preprocess.height, preprocess.width
    return OnnxTeacher(bundle.read(bundle.manifest.full), size, config.mean, config.std)


def _by_name(network: Teacher, classes: Sequence[str], temperature: float, data: PreparedData) -> Teacher:
    """Return its calibrated logits in the data's order of classes."""
    order = _order(classes, data.dataset.classes)
    return Converted(network, lambda logits: logits[:, order] / temperature)


def _order(classes: Sequence[str], wanted: Sequence[str]) -> list[int]:
    """Return where each of the wanted classes stands among the teacher's."""
    if set(classes) != set(wanted):
        raise UsageError(f"it tells {', '.join(classes)} apart, the data have {', '.join(wanted)}")
    return [list(classes).index(name) for name in wanted]


def _of_onnx(path: Path, config: RunConfig, teacher: TeacherConfig, data: PreparedData, folder: RunFolder) -> Teacher:
    size = teacher.height or data.preprocess.height, teacher.width or data.preprocess.width
    network: Teacher = OnnxTeacher(str(path), size, teacher.mean, teacher.std)
    sample = ask(network, _first(data.train))
    if (sample >= 0).all() and np.allclose(sample.sum(1), 1, atol=1e-3):  # probabilities already
        network = Converted(network, lambda answers: answers.clamp(min=1e-7).log())
    if sample.shape[1] == len(data.dataset.classes):
        return network
    return Converted(network, _probe(network, config, data, folder.teacher / "probe.safetensors"))


def _probe(network: Teacher, config: RunConfig, data: PreparedData, kept: Path) -> LinearProbe:
    if not kept.exists():
        answers, labels = ask(network, data.train), data.train.targets
        probe = fit_probe(answers, labels, data.groups(data.train), len(data.dataset.classes), config.seed)
        save_checkpoint(kept, {"weight": probe.weight, "bias": probe.bias})
    return LinearProbe(**load_checkpoint(kept))


def _first(examples: Examples) -> Examples:
    return Examples(examples.images, examples.labels, examples.rows[:_SAMPLE])


def measure_teacher(
    name: str, teacher: Teacher, data: PreparedData, folder: RunFolder, seed: int, progress: Progress
) -> None:
    """Measure the teacher on validation and test pictures, to stand beside its student's figures, and keep that."""
    record = folder.teacher_figures
    if not record.exists():
        val, test = (teacher_accuracy(teacher, part, data.groups(part), seed) for part in (data.val, data.test))
        write_json(record, asdict(TeacherFigures(name, val, test)))
    figures = TeacherFigures.from_dict(read_json(record))
    progress.note(f"teacher: {name} answers {figures.val.value:.1%} of the validation images correctly")
