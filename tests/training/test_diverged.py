"""A training that leaves the finite numbers stops there, says where and what to set, and keeps nothing of it."""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from mango_grader.errors import MangoError, UsageError
from mango_grader.models import NetworkSpec, Node, build_network
from mango_grader.models.operations import Classifier, Convolution
from mango_grader.models.spec import IMAGE
from mango_grader.progress import SilentProgress
from mango_grader.training.batches import Batches, Examples
from mango_grader.training.checkpoint import load_checkpoint
from mango_grader.training.device import Device, seed_everything
from mango_grader.training.distillation import DistillationBatches, cache_logits, teacher_logits
from mango_grader.training.divergence import DivergedError, all_finite, first_not_finite
from mango_grader.training.loop import Trainer
from mango_grader.training.recipe import TrainRecipe, WeightRecipe

CPU = Device("cpu")
SPEC = NetworkSpec(
    (3, 8, 8), (Node("stem", Convolution(3, 4, 3), (IMAGE,)), Node("exit", Classifier(4, 2), ("stem",))), ("exit",)
)
SGD = TrainRecipe(epochs=3, batch_size=8, weights=WeightRecipe("sgd", lr=0.01))


def examples(count: int = 24) -> Examples:
    images = np.random.default_rng(0).integers(0, 255, (count, 8, 8, 3)).astype(np.uint8)
    return Examples(images, np.arange(count) % 2, np.arange(count))


def trainer(recipe: TrainRecipe, checkpoint: Path | None = None, validation: Examples | None = None) -> Trainer:
    seed_everything(5)
    net, batches = build_network(SPEC), Batches(examples(), recipe.batch_size, 5)
    return Trainer(net, recipe, batches, validation, CPU, 5, checkpoint=checkpoint, checkpoint_every=0.0)


@pytest.mark.parametrize("optimiser", ["sgd", "adamw"])
def test_a_loss_that_is_not_finite_stops_the_training_naming_step_and_setting(optimiser: str) -> None:
    recipe = replace(SGD, epochs=40, weights=WeightRecipe(optimiser, lr=1e18))  # type: ignore[arg-type]
    with pytest.raises(MangoError) as stopped:
        trainer(recipe).run(SilentProgress())
    says = str(stopped.value)
    assert stopped.value.exit_code == 1
    assert "train: " in says
    assert "epoch 1" in says
    assert "start again with a lower train.weights.lr (it is 1e+18), or with train.weights.clip=5" in says
    assert len(says.splitlines()) == 1


def test_no_checkpoint_holds_what_is_not_finite_and_a_resumed_training_stops_in_the_same_words(tmp_path: Path) -> None:
    kept = tmp_path / "state.safetensors"
    trainer(SGD.lasting(1), kept).run(SilentProgress())  # an epoch that goes well
    diverging, told = replace(SGD, epochs=40, weights=WeightRecipe("sgd", lr=1e18)), []
    for _ in range(2):
        with pytest.raises(DivergedError) as stopped:
            trainer(diverging, kept).run(SilentProgress())
        told.append(str(stopped.value))
        assert all_finite(load_checkpoint(kept))
    assert told[0] == told[1]
    assert "epoch 2" in told[0]


def test_the_last_step_of_all_cannot_leave_weights_that_are_not_finite() -> None:
    """No loss follows it that would tell."""
    whole = replace(SGD, epochs=1, batch_size=24, weights=WeightRecipe("sgd", lr=1e29, weight_decay=1e29))
    with pytest.raises(DivergedError, match="after epoch 1 the weights are no longer finite"):
        trainer(whole).run(SilentProgress())


def test_answers_that_are_not_finite_are_not_taken_for_a_first_class() -> None:
    """Weights may be finite, and what they compute from validation images not."""
    huge = replace(SGD, epochs=1, batch_size=24, weights=WeightRecipe("sgd", lr=1e25, weight_decay=1e13))
    with pytest.raises(DivergedError, match="after epoch 1 the"):
        trainer(huge, validation=examples()).run(SilentProgress())


@dataclass(frozen=True)
class _LooksLater(Device):
    """A GPU, of which nothing is asked between two steps; what it computes is the CPU's."""

    @property
    def is_gpu(self) -> bool:
        return True

    def autocast(self) -> AbstractContextManager[object]:
        return nullcontext()


def test_on_a_gpu_too_the_first_step_that_was_not_finite_is_named(tmp_path: Path) -> None:
    diverging = replace(SGD, epochs=40, weights=WeightRecipe("sgd", lr=1e25, weight_decay=1e3))
    told = []
    for device in (CPU, _LooksLater("cpu")):
        stops = trainer(diverging, tmp_path / device.__class__.__name__)
        stops.device = device
        with pytest.raises(DivergedError) as stopped:
            stops.run(SilentProgress())
        told.append(str(stopped.value))
    assert told[0] == told[1]
    assert ", step 2: the loss is " in told[0]
    assert not list(tmp_path.iterdir())


def test_where_the_first_number_that_is_not_finite_stands() -> None:
    assert first_not_finite([1.0, torch.tensor(2.0)]) is None
    assert first_not_finite([1.0, torch.tensor(torch.inf), float("nan")]) == 1
    assert all_finite({"a": [torch.arange(3), (torch.zeros(2), 1.5, "text", None)]})
    assert not all_finite({"a": [torch.arange(3), (torch.tensor([0.0, torch.nan]), 1.5)]})
    assert not all_finite([{"a": float("-inf")}])


class _Mute(nn.Module):
    """A teacher of which some answers are no numbers."""

    def forward(self, images: Tensor) -> Tensor:
        answers = torch.zeros(len(images), 2)
        answers[-1, 0] = torch.nan
        return answers


def test_a_teacher_that_answers_with_nan_is_refused_before_it_teaches(tmp_path: Path) -> None:
    batches, teacher = Batches(examples(), 8, 5), _Mute()
    for asked in (
        lambda: teacher_logits(teacher, examples()),
        lambda: cache_logits(batches, teacher, 3, tmp_path, SilentProgress()),
        lambda: DistillationBatches.uncached(batches, teacher)[0],
    ):
        with pytest.raises(UsageError, match="choose another --teacher"):
            asked()
    assert not list(tmp_path.iterdir())
