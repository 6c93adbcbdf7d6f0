"""The teacher of a run: a run or bundle of mango-grader's, any ONNX classifier, or a published network."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from torch import Tensor

from mango_grader.errors import MangoError, UsageError
from mango_grader.files import read_json, write_json
from mango_grader.models import AnytimeClassifier
from mango_grader.runtime import Bundle
from mango_grader.training.batches import Examples
from mango_grader.training.checkpoint import load_checkpoint, save_checkpoint
from mango_grader.training.distillation import Teacher, TeacherFigures, teacher_accuracy, teacher_logits
from mango_grader.training.linear_probe import LinearProbe, fit_probe
from mango_grader.training.teachers import OnnxTeacher, TorchTeacher
from mango_grader.workflow.config import AUTO, RunConfig, TeacherConfig
from mango_grader.workflow.distillation.pretrained import Pretrained, check_pretrained, published_spec
from mango_grader.workflow.run.context import RunContext
from mango_grader.workflow.run.data import PreparedData
from mango_grader.workflow.run.folder import RunFolder
from mango_grader.workflow.run.weights import load_network

_SAMPLE = 16  # training images that show what kind of answers a graph gives


class TeacherSource(Protocol):
    """What a teacher is made from.

    Attributes:
        name: the teacher's name in reports.
        size: (height, width), in pixels, of the images that it is shown; None for those of the student.
        stand_in: a network that takes as long to answer as the teacher will; known before the teacher is made.
        make_seconds: estimated duration of `make`.
    """

    @property
    def name(self) -> str:
        """The teacher's name in reports."""

    @property
    def size(self) -> tuple[int, int] | None:
        """(height, width), in pixels, of the images that it is shown; None for those of the student."""

    @property
    def stand_in(self) -> Teacher:
        """A network that takes as long to answer as the teacher will."""

    @property
    def make_seconds(self) -> float:
        """Estimated duration of `make`."""

    def make(self) -> Teacher:
        """Return the teacher. If it has to be trained first, it learns from training images alone."""


@dataclass(frozen=True)
class Ready:
    """A teacher that is there already.

    Attributes:
        name: the teacher's name in reports.
        stand_in: the teacher itself.
        size: (height, width), in pixels, of the images that it takes; None where there are unlabelled images, which are
            kept at the student's size alone.
        make_seconds: 0.
    """

    name: str
    stand_in: Teacher
    size: tuple[int, int] | None = None
    make_seconds: float = 0.0

    def make(self) -> Teacher:
        """Return the teacher."""
        return self.stand_in


@dataclass(frozen=True)
class Converted:
    """A teacher whose answers are converted into logits of the data's classes.

    Attributes:
        network: from images, uint8 (N, H, W, 3), to answers (N, K).
        convert: from those answers to logits (N, classes).
    """

    network: Teacher
    convert: Callable[[Tensor], Tensor]

    def __call__(self, images: Tensor) -> Tensor:
        """Return logits (N, classes) of images, uint8 (N, H, W, 3)."""
        return self.convert(self.network(images))


def open_teacher(run: RunContext) -> TeacherSource | None:
    """Return what the run's teacher is made from; None without a teacher, and once the training is over.

    Args:
        run: the run; its setting `teacher.source` names the teacher.

    Raises:
        UsageError: the teacher cannot be used for the classes of the data.
    """
    config = run.config.teacher
    if config is None or run.folder.weights.exists():
        return None
    source = Path(config.source)
    with _errors_naming(source):
        if source.is_dir():
            return _of_run(RunFolder(source), run)
        if source.suffix == ".mango":
            return _of_bundle(source, config, run)
        if source.suffix == ".onnx":
            return _of_onnx(source, config, run)
        spec = published_spec(config.source, run.config, len(run.data.dataset.classes))
        return Pretrained(config.source, spec, config.recipe, run)


def check_teacher(config: RunConfig, teacher: TeacherConfig, folder: RunFolder, classes: Sequence[str]) -> None:
    """Check a teacher as far as that is possible without an image.

    Args:
        config: of the student's run.
        teacher: its settings for the teacher.
        folder: of the student's run.
        classes: those of the data.

    Raises:
        UsageError: the teacher cannot be used for these classes.
    """
    source = Path(teacher.source)
    with _errors_naming(source):
        if source.is_dir():
            _, metrics = _finished_run(RunFolder(source))
            _order(metrics["classes"], classes)
        elif source.suffix == ".mango":
            bundle = Bundle.open(source)
            _order(bundle.manifest.classes, classes)
            _graph(bundle, teacher)
        elif teacher.source == AUTO:
            return  # chosen by the time that there is, once the images are read
        elif source.suffix == ".onnx":
            size = teacher.height or config.data.height, teacher.width or config.data.width
            OnnxTeacher(str(source), size, teacher.mean, teacher.std)
        else:
            published_spec(teacher.source, config, len(classes))
            check_pretrained(teacher.source, folder)


@contextmanager
def _errors_naming(source: Path) -> Iterator[None]:
    try:
        yield
    except MangoError as error:
        raise UsageError(f"--teacher {source}: {error}") from error


def _finished_run(run: RunFolder) -> tuple[AnytimeClassifier, Mapping[str, Any]]:
    """Return the network of the weights that were calibrated, and the run's metrics."""
    run.read_config()  # says so where it is no run
    net = load_network(run, before_refit=True)
    if not run.metrics.exists():
        raise UsageError("the run is not finished; finish it with --resume")
    return net, read_json(run.metrics)


def _seen(size: Sequence[int], student: RunContext) -> tuple[int, int] | None:
    """Return the size of what a teacher is shown: its own, so that it sees details that its student does not."""
    assert student.config.teacher is not None
    height, width = size
    return None if student.config.teacher.unlabelled else (height, width)


def _of_run(folder: RunFolder, student: RunContext) -> Ready:
    net, metrics = _finished_run(folder)
    network, temperature = TorchTeacher(net, student.device), metrics["calibration"]["temperatures"][-1]
    named = _by_name(network, metrics["classes"], temperature, student.data)
    return Ready(folder.path.name, named, _seen(net.spec.input[1:], student))


def _of_bundle(path: Path, config: TeacherConfig, student: RunContext) -> Ready:
    bundle = Bundle.open(path)
    manifest, graph = bundle.manifest, _graph(bundle, config)
    named = _by_name(graph, manifest.classes, manifest.exits[-1].temperature, student.data)
    return Ready(path.name, named, _seen(graph.size, student))


def _graph(bundle: Bundle, config: TeacherConfig) -> OnnxTeacher:
    preprocess = bundle.manifest.preprocess
    size = preprocess.height, preprocess.width
    return OnnxTeacher(bundle.read(bundle.manifest.full), size, config.mean, config.std)


def _by_name(network: Teacher, classes: Sequence[str], temperature: float, data: PreparedData) -> Teacher:
    """Return its calibrated logits in the data's order of classes."""
    order = _order(classes, data.dataset.classes)
    return Converted(network, lambda logits: logits[:, order] / temperature)


def _order(classes: Sequence[str], wanted: Sequence[str]) -> list[int]:
    """Return the index of each wanted class among the teacher's."""
    if set(classes) != set(wanted):
        raise UsageError(f"its classes are {', '.join(classes)}, those of the data are {', '.join(wanted)}")
    return [list(classes).index(name) for name in wanted]


def _of_onnx(path: Path, config: TeacherConfig, run: RunContext) -> Ready:
    size = config.height or run.data.preprocess.height, config.width or run.data.preprocess.width
    graph = OnnxTeacher(str(path), size, config.mean, config.std)
    network: Teacher = graph
    seen = _seen(graph.size, run)
    sample = teacher_logits(network, _first(run.data.train))
    if (sample >= 0).all() and np.allclose(sample.sum(1), 1, atol=1e-3):  # probabilities already
        network = Converted(network, lambda answers: answers.clamp(min=1e-7).log())
    if sample.shape[1] != len(run.data.dataset.classes):
        network = Converted(network, _probe(network, seen, run))
    return Ready(path.name, network, seen)


def _probe(network: Teacher, size: tuple[int, int] | None, run: RunContext) -> LinearProbe:
    kept = run.folder.teacher / "probe.safetensors"
    if not kept.exists():
        data = (run.at_size(*size) if size else run).data
        answers, labels = teacher_logits(network, data.train), data.train.targets
        probe = fit_probe(answers, labels, data.groups(data.train), len(data.dataset.classes), run.config.seed)
        save_checkpoint(kept, {"weight": probe.weight, "bias": probe.bias})
    return LinearProbe(**load_checkpoint(kept))


def _first(examples: Examples) -> Examples:
    return Examples(examples.images, examples.labels, examples.rows[:_SAMPLE])


def measure_teacher(name: str, teacher: Teacher, run: RunContext) -> None:
    """Measure the teacher on the validation and test images of its student, and keep the figures in the run folder.

    Args:
        name: the teacher's name in reports.
        teacher: what is measured.
        run: the student's run.
    """
    record, data, seed = run.folder.teacher_figures, run.data, run.config.seed
    if not record.exists():
        val, test = (teacher_accuracy(teacher, part, data.groups(part), seed) for part in (data.val, data.test))
        write_json(record, asdict(TeacherFigures(name, val, test)))
    figures = TeacherFigures.from_dict(read_json(record))
    run.progress.note(f"teacher: {name} answers {figures.val.value:.1%} of the validation images correctly")
