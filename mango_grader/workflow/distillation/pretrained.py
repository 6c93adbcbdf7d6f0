"""A torchvision classifier with its published weights, fine-tuned on the training part before it teaches."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from mango_grader.errors import UsageError
from mango_grader.models import AnytimeClassifier, NetworkSpec, build_network
from mango_grader.training.batches import Batches
from mango_grader.training.device import seed_everything
from mango_grader.training.distillation import Teacher
from mango_grader.training.learner import Learner
from mango_grader.training.loop import Trainer
from mango_grader.training.recipe import TrainRecipe
from mango_grader.training.teachers import TorchTeacher
from mango_grader.workflow.run.context import RunContext
from mango_grader.workflow.run.data import augmenter
from mango_grader.workflow.run.folder import RunFolder
from mango_grader.workflow.run.machine import epoch_seconds
from mango_grader.workflow.run.weights import load_weights, save_weights

_SEED = 3  # keeps its batches apart from the student's


@dataclass(frozen=True)
class Pretrained:
    """A teacher made by fine-tuning a torchvision model; its weights and checkpoints are kept in the run folder.

    Attributes:
        spec: the torchvision model, with the classes of the data.
        recipe: how it is fine-tuned.
        run: the student's run.
    """

    spec: NetworkSpec
    recipe: TrainRecipe
    run: RunContext

    @property
    def name(self) -> str:
        """The model's name in torchvision."""
        return self.spec.nodes[0].name

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
        fitting = {name: value for name, value in self._published.items() if own[name].shape == value.shape}
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

    @cached_property
    def _published(self) -> dict[str, Tensor]:
        """The published weights, under the names that they have in our network."""
        return {f"nodes.{self.name}.{name}": value for name, value in published_weights(self.name).items()}


def check_pretrained(name: str, folder: RunFolder) -> None:
    """Fetch the published weights, unless the model is fine-tuned already.

    Args:
        name: the model's name in torchvision.
        folder: of the student's run.

    Raises:
        UsageError: the weights are not available.
    """
    if not _fine_tuned(folder).exists():
        published_weights(name)


def _fine_tuned(folder: RunFolder) -> Path:
    return folder.teacher / "weights.safetensors"


def published_weights(name: str) -> dict[str, Tensor]:
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
