"""A network with published weights, fine-tuned on the training part before it teaches.

That is EfficientNet-Lite0, whose weights a package brings, or a torchvision classifier, whose weights are downloaded.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from mango_grader.errors import UsageError
from mango_grader.models import AnytimeClassifier, NetworkSpec, build_network
from mango_grader.models.baselines.efficientnet_lite import efficientnet_lite0
from mango_grader.models.baselines.torchvision import classifier_spec
from mango_grader.models.imagenet import EFFICIENTNET_LITE0, efficientnet_lite0_state
from mango_grader.training.batches import Batches
from mango_grader.training.device import seed_everything
from mango_grader.training.distillation import Teacher
from mango_grader.training.learner import Learner
from mango_grader.training.loop import Trainer
from mango_grader.training.recipe import TrainRecipe
from mango_grader.training.teachers import TorchTeacher
from mango_grader.workflow.config import RunConfig
from mango_grader.workflow.run.context import RunContext
from mango_grader.workflow.run.data import augmenter
from mango_grader.workflow.run.folder import RunFolder
from mango_grader.workflow.run.machine import epoch_seconds
from mango_grader.workflow.run.weights import load_weights, save_weights

_SEED = 3  # keeps its batches apart from the student's
_PUBLISHED_SIDE = 224  # pixels of the images on which these networks learned


@dataclass(frozen=True)
class Pretrained:
    """A teacher made by fine-tuning a published network; its weights and checkpoints are kept in the run folder.

    Attributes:
        name: of the network.
        spec: the network, with the classes of the data.
        recipe: how it is fine-tuned.
        student: the run that it teaches.
    """

    name: str
    spec: NetworkSpec
    recipe: TrainRecipe
    student: RunContext

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the images that it learns from and answers, in pixels."""
        return self.spec.input[1], self.spec.input[2]

    @cached_property
    def run(self) -> RunContext:
        """The student's run with images of the teacher's size."""
        return self.student.at_size(*self.size)

    @cached_property
    def stand_in(self) -> Teacher:
        """An untrained network of the same kind."""
        return TorchTeacher(build_network(self.spec), self.run.device)

    @cached_property
    def make_seconds(self) -> float:
        """Estimated duration of the fine-tuning."""
        learner = Learner(build_network(self.spec), self.recipe, self._batches, self.run.device)
        return epoch_seconds(learner, len(self.run.data.val), self.run.device) * self.recipe.epochs

    def make(self) -> Teacher:
        """Return the fine-tuned network, continuing from its checkpoint if there is one."""
        seed_everything(self.run.config.seed, _SEED)
        net = build_network(self.spec)
        if self._weights.exists():
            load_weights(net, self._weights)
        else:
            self._fine_tune(net)
            save_weights(net, self._weights)
        return TorchTeacher(net, self.run.device)

    def _fine_tune(self, net: AnytimeClassifier) -> None:
        own = net.state_dict()
        published = _published_state(self.name)
        fitting = {name: value for name, value in published.items() if own[name].shape == value.shape}
        net.load_state_dict(fitting, strict=False)  # all but the head, which has other classes
        Trainer(
            net,
            self.recipe,
            self._batches,
            self.run.data.val,
            self.run.device,
            self.run.config.seed,
            checkpoint=self.run.folder.teacher / "checkpoint.safetensors",
            checkpoint_every=self.run.config.checkpoint_every,
            name=f"fine-tune {self.name}",
            settings="teacher.recipe",
        ).run(self.run.progress)

    @property
    def _weights(self) -> Path:
        return _fine_tuned(self.run.folder)

    @cached_property
    def _batches(self) -> Batches:
        seed = self.run.config.seed + _SEED
        return Batches(self.run.data.train, self.recipe.batch_size, seed, augmenter(self.run.config))


def published_spec(name: str, config: RunConfig, classes: int) -> NetworkSpec:
    """Return the network of a published teacher.

    Its images have the proportions of the run's, and 224 pixels along the longer side, as those on which the network
    learned, unless the settings name another size or the run's are larger. With unlabelled images they are the run's.

    Args:
        name: "efficientnet-lite0", or torchvision's name of a classifier.
        config: of the student's run, with a teacher among its settings.
        classes: number of classes of the data.

    Raises:
        UsageError: for a name that is not known, and for images too small.
    """
    height, width = teacher_size(config)
    shape = 3, height, width
    return efficientnet_lite0(shape, classes) if name == EFFICIENTNET_LITE0 else classifier_spec(name, shape, classes)


def teacher_size(config: RunConfig) -> tuple[int, int]:
    """Return (height, width), in pixels, of the images that a published teacher sees.

    Args:
        config: of the student's run, with a teacher among its settings.
    """
    data, teacher = config.data, config.teacher
    assert teacher is not None
    if teacher.unlabelled is not None:
        return data.height, data.width
    factor = max(1.0, _PUBLISHED_SIDE / max(data.height, data.width))
    return teacher.height or round(factor * data.height), teacher.width or round(factor * data.width)


def check_pretrained(name: str, folder: RunFolder) -> None:
    """Fetch the published weights, unless the model is fine-tuned already.

    Args:
        name: of the network.
        folder: of the student's run.

    Raises:
        UsageError: the weights are not available.
    """
    if not _fine_tuned(folder).exists():
        _published_state(name)


def _fine_tuned(folder: RunFolder) -> Path:
    return folder.teacher / "weights.safetensors"


def _published_state(name: str) -> Mapping[str, Tensor]:
    """Return the published weights under the names that they have in our network."""
    if name == EFFICIENTNET_LITE0:
        return efficientnet_lite0_state()
    return {f"nodes.{name}.{own}": value for own, value in _torchvision_weights(name).items()}


def _torchvision_weights(name: str) -> dict[str, Tensor]:
    """Return torchvision's weights, downloaded once; raises UsageError if they are unavailable."""
    from torchvision import models  # a second to load

    weights = models.get_model_weights(name).DEFAULT
    try:
        found = weights.get_state_dict(progress=False, check_hash=True, map_location="cpu", weights_only=True)
    except Exception as error:  # no network, a full disk, a damaged or wrong file: each raises a type of its own
        reason = " ".join(str(error).split())[:150]
        file, folder = weights.url.rsplit("/", 1)[-1], f"{torch.hub.get_dir()}/checkpoints"
        raise UsageError(f"its pretrained weights are not available ({reason}); put {file} into {folder}") from error
    return dict(found)
