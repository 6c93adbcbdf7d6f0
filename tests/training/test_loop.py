"""Training: batches, checkpoints and a loop that can stop anywhere."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from mango_grader.datasets import Augment
from mango_grader.datasets.augmentation.torch_augment import TorchAugmenter
from mango_grader.models import FromBytes, NetworkSpec, Node, build_network
from mango_grader.models.modules import DropPath
from mango_grader.models.operations import Add, Classifier, Convolution
from mango_grader.models.spec import IMAGE
from mango_grader.progress import SilentProgress
from mango_grader.training.batch_norm import batch_statistics
from mango_grader.training.batches import Batches, Examples, copied_to
from mango_grader.training.checkpoint import load_checkpoint, save_checkpoint
from mango_grader.training.device import Device, seed_everything
from mango_grader.training.learner import Learner
from mango_grader.training.loop import Trainer, predict
from mango_grader.training.recipe import TrainRecipe, WeightRecipe

CPU = Device("cpu")
SPEC = NetworkSpec(
    (3, 8, 8),
    (
        Node("stem", Convolution(3, 8, 3), (IMAGE,)),
        Node("early", Classifier(8, 2, dropout=0.2), ("stem",)),
        Node("body", Convolution(8, 8, 3, stride=2), ("stem",)),
        Node("more", Convolution(8, 8, 3), ("body",)),
        Node("sum", Add(), ("body", "more")),
        Node("late", Classifier(8, 2), ("sum",)),
    ),
    ("early", "late"),
)


def examples(count: int = 40) -> Examples:
    rng = np.random.default_rng(0)
    labels = np.arange(count) % 2
    images = rng.integers(0, 150, (count, 8, 8, 3)).astype(np.uint8)
    images[labels == 1, :, :, 0] += 90
    return Examples(images, labels, np.arange(count))


PLAIN = TrainRecipe(batch_size=8, weights=WeightRecipe("adamw", 0.01, warmup=0.2))
EVERYTHING = replace(PLAIN, loss="ordinal", ema=0.9, distil=0.5, drop_path=0.3, dropout=0.4, auxiliary=0.4, balance=0.5)


def trainer(epochs: int, checkpoint: Path | None = None, recipe: TrainRecipe | None = None) -> Trainer:
    seed_everything(5)
    recipe = recipe or PLAIN.lasting(epochs)
    return Trainer(
        build_network(SPEC),
        recipe,
        Batches(examples(), 8, 5),
        examples(),
        CPU,
        5,
        checkpoint=checkpoint,
        checkpoint_every=0.0,
    )


@pytest.mark.parametrize("optimiser", ["sgd", "adamw"])
def test_training_learns(optimiser: str) -> None:
    weights = WeightRecipe(optimiser, 0.05 if optimiser == "sgd" else 0.01, nesterov=optimiser == "sgd", clip=5.0)
    trained = trainer(0, recipe=TrainRecipe(epochs=12, batch_size=8, weights=weights, balance=1.0))
    trained.run(SilentProgress())
    assert trained.history[-1]["val_accuracy"][-1] >= 0.95
    assert trained.history[-1]["loss"] < trained.history[0]["loss"]


def test_a_recipe_that_asks_for_nothing_more_is_the_loop_written_out() -> None:
    trained = trainer(3)
    trained.run(SilentProgress())
    seed_everything(5)
    net, batches, weights = build_network(SPEC).to(memory_format=torch.channels_last), trained.batches, PLAIN.weights
    optimiser = weights.make_optimiser(net)
    for epoch in range(3):
        seed_everything(5, epoch)
        losses = []
        for step in range(epoch * batches.per_epoch, (epoch + 1) * batches.per_epoch):
            batch = batches[step]
            exits = net(FromBytes()(batch.images))
            each = [cross_entropy(logits, batch.labels, label_smoothing=0.1) for logits in exits]
            loss = torch.stack(each).sum() / 2
            loss.backward()
            optimiser.param_groups[0]["lr"] = optimiser.param_groups[-1]["lr"] = weights.lr_at(step, 15)
            optimiser.step()
            optimiser.zero_grad()
            losses.append(loss.detach())
        assert trained.history[epoch]["loss"] == float(torch.stack(losses).mean())
    for own, other in zip(trained.net.state_dict().values(), net.state_dict().values(), strict=True):
        assert torch.equal(own, other)


@pytest.mark.parametrize("recipe", [PLAIN, EVERYTHING], ids=["plain", "everything"])
@pytest.mark.parametrize("stop", [1, 3])
def test_resuming_is_bitwise_the_same(
    stop: int, recipe: TrainRecipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = recipe.lasting(5)
    whole = trainer(5, recipe=recipe)
    whole.run(SilentProgress())
    broken = trainer(5, tmp_path / "state.safetensors", recipe)
    epoch = Trainer._epoch

    def stops(self: Trainer, number: int, *rest: object) -> object:
        if number == stop:
            raise KeyboardInterrupt
        return epoch(self, number, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_epoch", stops)
        with pytest.raises(KeyboardInterrupt):
            broken.run(SilentProgress())
    resumed = trainer(5, tmp_path / "state.safetensors", recipe)
    resumed.run(SilentProgress())
    assert resumed.history == whole.history
    for own, other in zip(resumed.net.state_dict().values(), whole.net.state_dict().values(), strict=True):
        assert torch.equal(own, other)


def test_with_everything_on_the_plain_network_learns() -> None:
    trained = trainer(0, recipe=EVERYTHING.lasting(12))
    trained.run(SilentProgress())
    assert trained.net.spec == SPEC
    assert trained.history[-1]["val_accuracy"] == [pytest.approx(1, abs=0.1)] * 2, "two exits, not three"
    assert not trained.net.nodes["late"].dropout.p


@pytest.mark.parametrize("setting", ["ema", "drop_path", "dropout", "distil", "auxiliary"])
def test_every_setting_changes_what_is_learned(setting: str) -> None:
    plain, other = (trainer(0, recipe=replace(PLAIN, epochs=2, **change)) for change in ({}, {setting: 0.4}))
    for each in (plain, other):
        each.run(SilentProgress())
    pairs = zip(plain.net.parameters(), other.net.parameters(), strict=True)
    assert any(not torch.equal(one, two) for one, two in pairs)


def test_drop_path_rises_over_the_epochs() -> None:
    trained = trainer(0, recipe=replace(PLAIN, epochs=5, drop_path=0.3))
    learner = Learner(trained.net, trained.recipe, trained.batches, CPU)
    path = next(module for module in learner.net.modules() if isinstance(module, DropPath))
    seen = []
    for epoch in range(5):
        learner.begin_epoch(epoch)
        seen.append(path.progress)
    assert seen == [0, 0.25, 0.5, 0.75, 1]


def test_what_is_kept_is_the_average_or_the_weights_of_the_last_step() -> None:
    for recipe, same in ((replace(PLAIN, drop_path=0.2), True), (replace(PLAIN, drop_path=0.2, ema=0.9), False)):
        net = build_network(SPEC)
        learner = Learner(net, recipe, trainer(1).batches, CPU)
        learner.begin_epoch(0)
        learner.step(0)
        learner.step(1)
        learner.end_epoch()
        learned = learner.net.state_dict()
        assert torch.equal(net.state_dict()["nodes.body.0.weight"], learned["nodes.body.0.weight"]) == same


def test_batches_are_the_same_series_from_an_array_and_from_a_tensor() -> None:
    array = replace(examples(), rows=np.arange(3, 37))
    tensor = replace(array, images=copied_to(array.images, torch.device("cpu")))
    augmenter = TorchAugmenter(Augment(), torch.device("cpu"))
    for change in (None, augmenter):
        one, other = Batches(array, 8, 5, change), Batches(tensor, 8, 5, change)
        for step in (0, 3, 11):
            assert torch.equal(one[step].images, other[step].images)
            assert torch.equal(one[step].labels, other[step].labels)
    assert torch.equal(next(array.in_order(9)).images, next(tensor.in_order(9)).images)
    assert not torch.equal(Batches(tensor, 8, 5)[0].images, Batches(tensor, 8, 5, augmenter)[0].images)


def test_batches_visit_every_example_once_an_epoch() -> None:
    batches = Batches(examples(), 8, seed=1)
    seen = torch.cat([batches[step].images for step in range(batches.per_epoch)])
    assert sorted(map(bytes, seen.numpy())) == sorted(map(bytes, examples().images))
    assert torch.equal(batches[7].images, batches[7].images)
    assert not torch.equal(batches[0].images, batches[5].images), "epochs are shuffled anew"


def test_prediction_leaves_the_mode_alone() -> None:
    net = build_network(SPEC).train()
    logits = predict(net, examples(), CPU, batch_size=7)
    assert logits.shape == (2, 40, 2)
    assert net.training


def test_batch_statistics_leave_no_trace_even_after_an_error() -> None:
    net = build_network(SPEC).train()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    with pytest.raises(RuntimeError, match="channels"), batch_statistics(net):
        net(torch.cat([torch.randn(4, 3, 8, 8), torch.randn(4, 3, 8, 8)], 1))
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert all(module.training for module in net.modules())


def test_checkpoints_return_what_they_were_given(tmp_path: Path) -> None:
    state = {
        "numbers": [1, 2.5, None, True, "text"],
        3: {"tensor": torch.arange(6).reshape(2, 3), "empty": {}},
        "pair": (torch.tensor(1.5, dtype=torch.float64), ()),
    }
    save_checkpoint(tmp_path / "state", state)
    loaded = load_checkpoint(tmp_path / "state")
    assert loaded["numbers"] == state["numbers"]
    assert torch.equal(loaded[3]["tensor"], torch.arange(6).reshape(2, 3))
    assert loaded["pair"][0].dtype == torch.float64
    assert isinstance(loaded["pair"], tuple)


def test_a_training_stores_what_it_always_stored(tmp_path: Path) -> None:
    trainer(1, tmp_path / "state").run(SilentProgress())
    assert load_checkpoint(tmp_path / "state").keys() == {"epoch", "net", "kept", "optimiser", "history"}


def test_checkpoints_refuse_objects(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="cannot hold"):
        save_checkpoint(tmp_path / "state", {"object": object()})
    assert not list(tmp_path.iterdir())


def test_the_schedule_rises_and_falls() -> None:
    recipe = WeightRecipe(lr=1.0, final_lr=0.1, warmup=0.1)
    rates = [recipe.lr_at(step, 100) for step in range(100)]
    assert rates[0] < 0.2
    assert max(rates) == pytest.approx(1.0)
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[-1] == pytest.approx(0.1, abs=0.01)


def test_frozen_scales_stay_at_one() -> None:
    net = build_network(SPEC)
    recipe = WeightRecipe("sgd", 0.1, frozen_scale=True)
    trained = trainer(0, recipe=TrainRecipe(epochs=2, batch_size=8, weights=recipe))
    trained.net = net
    trained.run(SilentProgress())
    norms = [module for module in net.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    assert norms
    assert all(torch.equal(norm.weight, torch.ones_like(norm.weight)) for norm in norms)
