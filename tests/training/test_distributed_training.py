"""Two ranks share the rows of every batch, and train as one process does; one of them is a process of its own."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ranks import two_ranks
from shared_training import PLAIN, SGD, STEPS, TERMS, batches, examples, network, same_weights, steps
from torch import Tensor, nn

from mango_grader.automl.sandwich import Sandwich, SandwichRule
from mango_grader.automl.search_space import SearchSpace
from mango_grader.automl.shared import SearchData, SharedTraining
from mango_grader.automl.spaces import LiteConfig
from mango_grader.automl.supernet import Gates, gates_of
from mango_grader.errors import UsageError
from mango_grader.models import FromBytes, NetworkSpec, Node, build_network, modules
from mango_grader.models.operations import Classifier, Convolution, DropPath
from mango_grader.models.spec import IMAGE
from mango_grader.progress import SilentProgress, Task
from mango_grader.training.batches import Batches, BatchSeries
from mango_grader.training.checkpoint import load_checkpoint
from mango_grader.training.data_parallel import Blueprint, DataParallel
from mango_grader.training.device import Device, seed_everything
from mango_grader.training.distillation import DistillationBatches, MixedBatches
from mango_grader.training.learner import Learner
from mango_grader.training.loop import Trainer
from mango_grader.training.losses import AnytimeLoss, DistillationLoss, training_loss
from mango_grader.training.recipe import Distillation, TrainRecipe, step_with
from mango_grader.training.world import World

ALONE = Device("cpu")


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with two_ranks() as found:
        yield found


@pytest.fixture
def both(world: World) -> Device:
    return Device("cpu", world)


class InParts(nn.Module):
    """A network in one process that runs the rows of each of two ranks by themselves.

    BatchNorm so has the statistics of those rows; its running ones are the mean over all rows.
    """

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, images: Tensor, *gates: Gates) -> list[Tensor]:
        running = [buffer for buffer in self.net.buffers() if buffer.is_floating_point()]
        before, after = [each.clone() for each in running], [torch.zeros_like(each) for each in running]
        whole: list[Tensor] = []
        for rank in range(2):
            for buffer, old in zip(running, before, strict=True):
                buffer.data.copy_(old)  # unnoticed by autograd, which keeps it
            logits = self.net(images[rank::2], *gates)
            whole = whole or [each.new_empty(len(images), each.shape[1]) for each in logits]
            whole = [self._with_rows(each, rank, own) for each, own in zip(whole, logits, strict=True)]
            for total, buffer in zip(after, running, strict=True):
                total += buffer * len(images[rank::2]) / len(images)
        for buffer, new in zip(running, after, strict=True):
            buffer.data.copy_(new)
        return whole

    @staticmethod
    def _with_rows(whole: Tensor, rank: int, rows: Tensor) -> Tensor:
        places = torch.arange(rank, len(whole), 2)
        return whole.index_copy(0, places, rows)


@pytest.mark.parametrize(
    "recipe",
    [PLAIN, TERMS, replace(PLAIN, weights=replace(SGD, frozen_scale=True))],
    ids=["plain", "every term", "frozen scales"],
)
def test_two_ranks_equal_one_process_with_batchnorm_over_the_same_rows(both: Device, recipe: TrainRecipe) -> None:
    seed_everything(5)
    shared = Learner(build_network(network(norm=True)), recipe, batches(), both)
    seed_everything(5)
    alone = Learner(build_network(network(norm=True)), recipe, batches(), ALONE)
    parts, optimiser = InParts(alone.net).train(), recipe.weights.make_optimiser(alone.net)
    loss, expected = training_loss(recipe, batches().examples.targets, 3), []
    for number in range(STEPS):
        batch = batches()[number]
        value = loss(parts(FromBytes()(batch.images)), batch.labels)
        value.backward()
        lr = recipe.weights.lr_at(number, batches().per_epoch * recipe.epochs)
        step_with(optimiser, lr, alone.net.parameters(), recipe.weights.clip)
        expected.append(value.detach())
    torch.testing.assert_close(steps(shared), torch.stack(expected), rtol=0, atol=1e-4)
    same_weights(shared.net, alone.net)


def answered(series: BatchSeries) -> BatchSeries:
    weight = torch.randn(3, 3, generator=torch.Generator().manual_seed(1))
    return DistillationBatches.uncached(series, lambda images: images.float().mean((1, 2)) @ weight / 50)


def further(series: Batches) -> BatchSeries:
    return answered(MixedBatches(series, Batches(examples(40), 4, 6)))


@pytest.mark.parametrize(
    ("make", "distillation"),
    [(lambda found: found, None), (answered, Distillation(0.5, 2.0)), (further, Distillation(0.3, 2.0))],
    ids=["labels", "teacher", "unlabelled images"],
)
def test_without_batchnorm_two_ranks_equal_one_process_whatever_the_loss(
    both: Device, make: Any, distillation: Distillation | None
) -> None:
    losses, nets = [], []
    for device in (both, ALONE):
        seed_everything(5)
        recipe = replace(TERMS, loss="cross_entropy")
        learner = Learner(build_network(network(norm=False)), recipe, make(batches()), device, distillation)
        losses.append(steps(learner))
        nets.append(learner.kept)
    torch.testing.assert_close(*losses, rtol=0, atol=1e-4)
    same_weights(*nets)


def test_networks_may_take_turns(both: Device) -> None:
    losses = []
    for device in (both, ALONE):
        seed_everything(5)
        nets = (build_network(network(norm=False, wide=wide)) for wide in (8, 12))
        first, second = (Learner(net, PLAIN, batches(), device) for net in nets)
        losses.append(torch.stack([each.step(number) for number in range(3) for each in (first, second)]))
    torch.testing.assert_close(*losses, rtol=0, atol=1e-4)


def test_weight_steps_of_a_super_net_equal_those_of_one_process(both: Device) -> None:
    shape = {"channels": (8, 8), "blocks": (1, 1), "strides": (1, 1), "exits": (1, 2), "halving": "none"}
    space = SearchSpace(LiteConfig(8, 8, 3, kernels=(3, 5), elastic=True, **shape))
    shown, rule = batches(15), SandwichRule(drawn=1, distillation=Distillation(0.7, 2.0))
    sandwich = Sandwich.of(space, rule)
    assert sandwich is not None

    def training(device: Device) -> SharedTraining:
        seed_everything(5)
        return SharedTraining(space, SGD, SearchData(shown, shown.examples, device=device, sandwich=rule), sandwich)

    shared, alone = training(both), training(ALONE)
    parts, plain, expected = InParts(alone.net.train()), AnytimeLoss(), []
    distilled = DistillationLoss(plain, rule.distillation)
    drawn = [gates_of(space.sample(np.random.default_rng(seed)), space.decisions) for seed in range(STEPS)]
    for number, path in enumerate(drawn):
        batch = shown[number]
        images, labels = FromBytes()(batch.images), batch.labels
        logits = parts(images, sandwich.largest)
        others = [parts(images, each) for each in (sandwich.smallest, path)]
        values = [plain(logits, labels), *(distilled(each, labels, logits[-1].detach()) for each in others)]
        torch.stack(values).sum().backward()
        step_with(alone.optimiser, SGD.lr_at(number, STEPS), alone.net.parameters(), SGD.clip)
        expected.append(torch.stack(values).mean().detach())
    found = torch.stack([shared.step(number, STEPS, path) for number, path in enumerate(drawn)])
    torch.testing.assert_close(found, torch.stack(expected), rtol=0, atol=1e-4)
    same_weights(shared.net, alone.net)


class Stopping(SilentProgress):
    """Interrupts a training once so many epochs are done, before the last of them is saved."""

    def __init__(self, epochs: int) -> None:
        self.left = epochs

    @contextmanager
    def task(self, name: str, total: int, done: int = 0) -> Iterator[Task]:
        yield self

    def advance(self, count: int = 1, *, left: float | None = None, **figures: float) -> None:
        self.left -= count
        if not self.left:
            raise KeyboardInterrupt


def trainer(device: Device, checkpoint: Path, spec: NetworkSpec, recipe: TrainRecipe = PLAIN) -> Trainer:
    seed_everything(5)
    net = build_network(spec)
    return Trainer(net, recipe, batches(), examples(), device, 5, checkpoint=checkpoint, checkpoint_every=0.0)


def stopped(device: Device, checkpoint: Path, spec: NetworkSpec, recipe: TrainRecipe = PLAIN) -> None:
    with pytest.raises(KeyboardInterrupt):
        trainer(device, checkpoint, spec, recipe).run(Stopping(3))
    assert load_checkpoint(checkpoint)["epoch"] == 2


def test_resuming_with_two_ranks_is_bitwise_the_same(both: Device, tmp_path: Path) -> None:
    recipe = replace(TERMS, drop_path=0.3, dropout=0.4, auxiliary=0.4)
    spec = network(norm=True)
    whole, again = (trainer(both, tmp_path / name, spec, recipe) for name in ("whole", "broken"))
    whole.run(SilentProgress())
    stopped(both, tmp_path / "broken", spec, recipe)
    again.run(SilentProgress())
    assert again.history == whole.history
    for own, other in zip(again.net.state_dict().values(), whole.net.state_dict().values(), strict=True):
        assert torch.equal(own, other)


@pytest.mark.parametrize("ranks_first", [True, False], ids=["ranks, then one process", "one process, then ranks"])
def test_a_checkpoint_is_that_of_one_process(both: Device, tmp_path: Path, ranks_first: bool) -> None:
    spec = network(norm=False)
    whole, path = trainer(ALONE, tmp_path / "whole", spec), tmp_path / "broken"
    whole.run(SilentProgress())
    first, second = (both, ALONE) if ranks_first else (ALONE, both)
    stopped(first, path, spec)
    again = trainer(second, path, spec)
    again.run(SilentProgress())
    assert [row["epoch"] for row in again.history] == [1, 2, 3, 4]
    losses = [[row["loss"] for row in each.history] for each in (again, whole)]
    assert losses[0] == pytest.approx(losses[1], abs=1e-4)
    same_weights(again.net, whole.net)
    shapes = [_shapes(load_checkpoint(each)) for each in (path, tmp_path / "whole")]
    assert shapes[0] == shapes[1]


def _shapes(state: Any) -> Any:
    if isinstance(state, dict):
        return {name: _shapes(value) for name, value in state.items()}
    return tuple(state.shape) if isinstance(state, Tensor) else type(state)


def test_dropout_masks_differ_between_ranks_and_between_steps(both: Device) -> None:
    seed_everything(5)
    spec = network(norm=False, dropout=0.5)
    parallel = DataParallel(build_network(spec), Blueprint.of(spec), both)
    images = torch.full((40, 8, 8, 3), 90, dtype=torch.uint8)
    answers: list[Sequence[Tensor]] = []
    for number in (0, 1):
        for logits in parallel.passes(number, images):
            torch.stack(list(logits)).sum().backward()
            answers.append([each.detach() for each in logits])
    first, second = (step[0] for step in answers)
    # Of 20 pairs of masks of 8 features few are equal by chance; with one seed for both ranks, all would be.
    assert (first[0::2] == first[1::2]).all(1).sum() <= 5
    assert (first[1::2] == second[1::2]).all(1).sum() <= 5, "every step has others"


@pytest.mark.parametrize("progress", [0.5, 1.0])
def test_every_rank_drops_paths_as_often_as_the_training_has_come(both: Device, progress: float) -> None:
    stem, drop = Node("stem", Convolution(3, 8, 3), (IMAGE,)), Node("drop", DropPath(0.5), ("stem",))
    spec = NetworkSpec((3, 8, 8), (stem, drop, Node("exit", Classifier(8, 3), ("drop",))), ("exit",))
    seed_everything(5)
    net = build_network(spec)
    for module in net.modules():
        if isinstance(module, modules.DropPath):
            module.progress = progress
    images = torch.from_numpy(np.resize(examples().images, (400, 8, 8, 3)))
    bias = dict(net.named_parameters())["nodes.exit.linear.bias"]
    for (logits,) in DataParallel(net, Blueprint.of(spec), both).passes(0, images):
        logits.sum().backward()
        dropped = (logits == bias).all(1)
    for rank in range(2):  # 200 rows each: four standard deviations are 28 of them at most
        assert abs(int(dropped[rank::2].sum()) - 200 * 0.5 * progress) < 28


def test_a_batch_that_leaves_a_rank_a_single_image_is_refused(both: Device) -> None:
    spec = network(norm=True)
    parallel = DataParallel(build_network(spec), Blueprint.of(spec), both)
    images = torch.zeros(3, 8, 8, 3, dtype=torch.uint8)
    with pytest.raises(UsageError, match=r"a batch of 3 images is too small for 2 processes.*train\.batch_size"):
        next(parallel.passes(0, images))
