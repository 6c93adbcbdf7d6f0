"""The weights that a network takes over from the super net in which it was found."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from mango_grader.models import AnytimeClassifier, FromBytes, NetworkSpec, build_network
from mango_grader.models.transfer import fitted_to
from mango_grader.training.batch_norm import recalibrate
from mango_grader.training.batches import Batches
from mango_grader.training.bootstrap import GroupBootstrap
from mango_grader.training.checkpoint import damaged, read_tensors, write_tensors
from mango_grader.training.device import seed_everything
from mango_grader.training.loop import predict
from mango_grader.training.recipe import TrainRecipe
from mango_grader.workflow.config import RunConfig
from mango_grader.workflow.distillation import TRAIN_SEED
from mango_grader.workflow.run.context import RunContext
from mango_grader.workflow.run.data import augmenter
from mango_grader.workflow.run.folder import RunFolder
from mango_grader.workflow.run.weights import load_matching, named_start

_PHASE = "inherited"  # of the history
_TIE = 1e-9  # means of the same numbers differ by rounding
_MOSTLY = 0.5  # of the tensors: with fewer, a training is one from scratch


@dataclass(frozen=True, eq=False)
class InheritedWeights:
    """The weights with which the training of a found network begins.

    Attributes:
        state: of the whole network; a node that the super net had nothing for has the weights of --init-from, or new
            ones.
        tensors: how many are the super net's.
        total: how many tensors the network has.
    """

    state: Mapping[str, Tensor]
    tensors: int
    total: int

    @property
    def whole(self) -> bool:
        """Whether all weights are the super net's, so that the network can answer as it is."""
        return self.tensors == self.total

    @property
    def mostly(self) -> bool:
        """Whether so many weights are the super net's that the training is a fine-tuning."""
        return self.tensors >= _MOSTLY * self.total

    def __str__(self) -> str:
        return f"{self.tensors} of {self.total} tensors"

    def save(self, path: Path) -> None:
        """Write everything to a safetensors file."""
        state = {name: tensor.detach().cpu().contiguous() for name, tensor in self.state.items()}
        write_tensors(path, state, {"tensors": str(self.tensors), "total": str(self.total)})

    @classmethod
    def load(cls, path: Path) -> Self | None:
        """Read what `save` wrote; None where there is no such file.

        Raises:
            MangoError: the file is damaged.
        """
        if not path.exists():
            return None
        state, counts = read_tensors(path)
        try:
            return cls(state, int(counts["tensors"]), int(counts["total"]))
        except (KeyError, ValueError) as error:
            raise damaged(path, error) from error

    def start(self, net: AnytimeClassifier) -> None:
        """Give the network these weights."""
        net.load_state_dict(dict(self.state))


def begun(spec: NetworkSpec, weights: InheritedWeights | None, run: RunContext, name: str = "") -> AnytimeClassifier:
    """Return a network as its training begins, always the same.

    Args:
        spec: the network.
        weights: that it inherits; None takes those of --init-from as far as they fit, and new ones.
        run: the run, for its seed and what it starts from.
        name: of the training, to say how much comes from --init-from; "" says nothing.
    """
    config = run.config
    seed_everything(config.seed, TRAIN_SEED)
    net = build_network(spec)
    if weights is not None:
        weights.start(net)
    elif config.init_from is not None:
        loaded = load_matching(net, config.init_from)
        if name and loaded:
            tensors = f"{loaded} of {len(net.state_dict())} tensors"
            run.progress.note(f"{name}: {tensors} taken over from {named_start(config.init_from)}")
    return net


def recipe_for(weights: InheritedWeights | None, config: RunConfig, epochs: int, per_epoch: int) -> TrainRecipe:
    """Return how a network is trained: fine-tuned where it inherits most of its weights.

    Args:
        weights: with which it begins; None for no inherited ones.
        config: of the run.
        epochs: of the training, 0 or more.
        per_epoch: steps of an epoch.
    """
    recipe = config.train.lasting(epochs)
    if config.search is None or weights is None or not weights.mostly:
        return recipe
    return config.search.fine_tune.of(recipe, epochs * per_epoch)


def inherit(spec: NetworkSpec, supernet: Mapping[str, Tensor], batches: int, run: RunContext) -> InheritedWeights:
    """Return the weights of a network that was found, as far as its super net has them.

    Nodes take the super net's weights by name; those that it has nothing for, such as squeeze-excitation that only
    results have, start from --init-from or afresh. BatchNorm's statistics are those of this very network.

    Args:
        spec: the network.
        supernet: what the super net in which it was found has for it, by the names of its nodes.
        batches: of training images, for BatchNorm's statistics.
        run: the run, for its training images and its seed.
    """
    config, device = run.config, run.device
    net = begun(spec, None, run)
    own = {name: value for name, value in net.state_dict().items() if value.ndim}  # counters alone are no weights
    fitting = fitted_to(own, supernet)
    net.load_state_dict(fitting, strict=False)
    device.place(net)
    from_bytes = device.place(FromBytes())
    shown = Batches(run.data.train, config.train.batch_size, config.seed + TRAIN_SEED, augmenter(config))

    def run_batches() -> None:
        with device.autocast():
            for number in range(batches):
                net(from_bytes(device.send(shown[number].images)))

    recalibrate(net, run_batches)
    state = {name: value.detach().cpu().clone() for name, value in net.state_dict().items()}
    return InheritedWeights(state, len(fitting), len(own))


def keep_better(net: AnytimeClassifier, inherited: InheritedWeights, epochs: int, run: RunContext) -> dict[str, Any]:
    """Give a trained network its inherited weights back where those do better on the validation images.

    A training that is cut short may undo what the super net had learned. The trained weights stay unless they lose by
    more than chance in the choice of the validation fruit explains.

    Args:
        net: the trained network.
        inherited: the weights that it began with.
        epochs: of its training, 0 or more.
        run: the run; its objective says what is better.

    Returns:
        A row for the history: validation accuracy of every exit with the inherited weights, and whether they are kept.
    """
    assert run.config.search is not None
    objective, labels, classes = run.config.search.objective, run.data.val.targets, len(run.data.dataset.classes)
    first = build_network(net.spec)
    inherited.start(first)
    answers = [predict(run.device.place(each), run.data.val, run.device).argmax(-1) for each in (first, net)]
    macs = [float(count) for count in net.spec.macs()]
    before, after = (objective.score(list(each), labels, macs, classes) for each in answers)
    kept = before > after + _TIE and _beyond_chance(answers[0] == labels, answers[1] == labels, run)
    if kept:
        inherited.start(net)
        run.progress.note(f"train: the inherited weights are kept; they score {before:.3f}, the trained {after:.3f}")
    accuracy = [float(share) for share in (answers[0] == labels).mean(1)]
    return {"phase": _PHASE, "val_accuracy": accuracy, "kept": kept or not epochs}


def _beyond_chance(first: NDArray[np.bool_], second: NDArray[np.bool_], run: RunContext) -> bool:
    """Return whether the first answers, (exits, N), are correct more often by more than the draw of fruit explains."""
    bootstrap = GroupBootstrap(run.data.groups(run.data.val), run.config.seed)
    low = bootstrap.difference(first.mean(0), second.mean(0)).low
    return low is None or low > 0


def keeps_inherited(folder: RunFolder) -> bool:
    """Return whether a run's network kept the weights that it inherited, since they did better than the trained ones.

    Args:
        folder: of the run.
    """
    return any(row["phase"] == _PHASE and row["kept"] for row in folder.read_history())
