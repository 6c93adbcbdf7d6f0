"""Learning from a teacher's answers."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from mango_grader.datasets import Augment
from mango_grader.datasets.augmentation.torch_augment import TorchAugmenter
from mango_grader.models import NetworkSpec, Node, build_network
from mango_grader.models.operations import Classifier, Convolution
from mango_grader.models.spec import IMAGE
from mango_grader.progress import SilentProgress
from mango_grader.training.batches import Batches, Examples
from mango_grader.training.device import Device, seed_everything
from mango_grader.training.distillation import DistillationBatches, MixedBatches, cache_logits, teacher_logits
from mango_grader.training.loop import Trainer, predict
from mango_grader.training.losses import training_loss
from mango_grader.training.recipe import Distillation, TrainRecipe, WeightRecipe

CPU = Device("cpu")
RECIPE = TrainRecipe(epochs=10, batch_size=8, weights=WeightRecipe("adamw", 0.01, warmup=0.2), label_smoothing=0.0)


def network() -> NetworkSpec:
    nodes = (
        Node("stem", Convolution(3, 8, 3), (IMAGE,)),
        Node("early", Classifier(8, 2), ("stem",)),
        Node("body", Convolution(8, 8, 3, stride=2), ("stem",)),
        Node("late", Classifier(8, 2), ("body",)),
    )
    return NetworkSpec((3, 8, 8), nodes, ("early", "late"))


def examples(count: int = 40, seed: int = 0) -> Examples:
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 2
    images = rng.integers(0, 150, (count, 8, 8, 3)).astype(np.uint8)
    images[labels == 1, :, :, 0] += 90
    return Examples(images, labels, np.arange(count))


def by_redness(images: Tensor) -> Tensor:
    """A good teacher: class 1 is the redder."""
    red = images.float().mean((1, 2)) @ torch.tensor([1.0, -0.5, -0.5]) - 45
    return torch.stack([-red, red], 1) / 10


def series(seed: int = 5, count: int = 43) -> Batches:
    return Batches(examples(count), 8, seed, TorchAugmenter(Augment(), torch.device("cpu")))


def test_the_loss_is_hintons_on_every_exit() -> None:
    torch.manual_seed(0)
    exits, teacher, labels = [torch.randn(6, 3), torch.randn(6, 3)], torch.randn(6, 3), torch.tensor([0, 1, 2, 0])
    recipe = TrainRecipe(exit_weights=(1.0, 3.0), balance=0.5)
    loss = training_loss(recipe, np.array([0, 0, 1, 2]), 3, Distillation(0.6, 4.0))(exits, labels, teacher)
    own = training_loss(recipe, np.array([0, 0, 1, 2]), 3)([each[:4] for each in exits], labels)
    soft = (teacher / 4).softmax(1)
    apart = [(soft * (soft.log() - (each / 4).log_softmax(1))).sum(1).mean() for each in exits]
    torch.testing.assert_close(loss, 0.4 * own + 0.6 * 16 * (apart[0] + 3 * apart[1]) / 4)


def test_images_without_a_label_count_in_the_second_term_alone() -> None:
    torch.manual_seed(0)
    exits, none = [torch.randn(5, 3, requires_grad=True)], torch.zeros(0, dtype=torch.int64)
    loss = training_loss(TrainRecipe(), np.array([0, 1, 2]), 3, Distillation(0.5, 1.0))
    assert loss(exits, none, exits[0].detach()).item() == pytest.approx(0, abs=1e-6)
    loss(exits, torch.tensor([1]), torch.zeros(5, 3)).backward()
    assert exits[0].grad is not None
    assert exits[0].grad.abs().sum(1).min() > 0


@pytest.mark.parametrize("recipe", [{"distil": 0.5}, {"auxiliary": 0.4}, {"loss": "ordinal"}])
def test_a_teacher_goes_with_every_recipe(recipe: dict[str, float]) -> None:
    exits, labels = [torch.randn(4, 3) for _ in range(3)], torch.tensor([0, 1])
    loss = training_loss(TrainRecipe(**recipe), np.array([0, 1, 2]), 3, Distillation(0.5, 2.0))  # type: ignore[arg-type]
    assert torch.isfinite(loss(exits, labels, torch.randn(4, 3)))


@pytest.mark.parametrize(("weight", "temperature"), [(-0.1, 1.0), (1.1, 1.0), (0.5, 0.0)])
def test_teaching_out_of_range_is_refused(weight: float, temperature: float) -> None:
    with pytest.raises(ValueError, match=r"(weight|temperature) must be"):
        Distillation(weight, temperature)


def test_kept_answers_are_to_the_very_images_that_are_shown(tmp_path: Path) -> None:
    """43 examples leave 3 out of each epoch, in an order of its own; 5 steps an epoch, 70 in 14 views."""
    batches = series()
    kept = DistillationBatches.cached(batches, cache_logits(batches, by_redness, 70, tmp_path, SilentProgress()))
    for step in (0, 4, 5, 33, 69, 70, 103, 140):
        batch = kept[step]
        assert torch.equal(batch.images, batches[step % 70].images)
        assert batch.teacher_logits is not None
        assert torch.equal(batch.teacher_logits, by_redness(batch.images))
    fresh = DistillationBatches.uncached(batches, by_redness)[100]
    assert fresh.teacher_logits is not None
    assert torch.equal(fresh.images, batches[100].images)
    assert torch.equal(fresh.teacher_logits, by_redness(fresh.images))


def test_answers_are_asked_for_once(tmp_path: Path) -> None:
    batches, asked = series(), 0

    def counting(images: Tensor) -> Tensor:
        nonlocal asked
        asked += 1
        if asked == 50:
            raise KeyboardInterrupt
        return by_redness(images)

    with pytest.raises(KeyboardInterrupt):
        cache_logits(batches, counting, 70, tmp_path, SilentProgress())
    assert asked == 50
    found = cache_logits(batches, counting, 70, tmp_path, SilentProgress())
    assert asked == 50 + 70 - 32, "the first part was kept"
    whole = cache_logits(batches, by_redness, 70, tmp_path / "whole", SilentProgress())
    for own, other in zip(found, whole, strict=True):
        np.testing.assert_array_equal(own, other)


def test_unlabelled_images_follow_the_labelled_ones() -> None:
    labelled, extra = series(), Batches(examples(20, seed=9), 4, 6)
    mixed = MixedBatches(labelled, extra)
    assert (mixed.batch_size, mixed.per_epoch) == (12, labelled.per_epoch)
    assert torch.equal(mixed[7].images[:8], labelled[7].images)
    assert torch.equal(mixed[7].images[8:], extra[7].images)
    assert torch.equal(mixed[7].labels, labelled[7].labels)


class Unlabelled(Batches):
    """Batches whose labels nobody knows."""

    def __getitem__(self, step: int) -> object:  # type: ignore[override]
        return replace(super().__getitem__(step), labels=torch.zeros(0, dtype=torch.int64))


@pytest.mark.parametrize("views", [0, 3])
def test_a_student_learns_from_a_teacher_without_any_label(views: int, tmp_path: Path) -> None:
    seed_everything(5)
    batches = Unlabelled(replace(examples(), labels=np.zeros(40, np.int64)), 8, 5)
    parts = cache_logits(batches, by_redness, views * batches.per_epoch, tmp_path, SilentProgress())
    distilled = (
        DistillationBatches.cached(batches, parts) if views else DistillationBatches.uncached(batches, by_redness)
    )
    net, unseen = build_network(network()), examples(200, seed=3)
    Trainer(net, RECIPE, distilled, unseen, CPU, 5, distillation=Distillation(0.5, 2.0)).run(SilentProgress())
    accuracies = (predict(net, unseen, CPU).argmax(-1) == unseen.targets).mean(1)
    assert accuracies.min() > 0.9
    assert (teacher_logits(by_redness, unseen).argmax(1) == unseen.targets).mean() > 0.9
