"""Training: batches, checkpoints and a loop that can stop anywhere."""

from pathlib import Path

import numpy as np
import pytest
import torch

from mango_grader.models import NetworkSpec, Node, build_network
from mango_grader.models.operations import Classifier, Convolution
from mango_grader.models.spec import IMAGE
from mango_grader.progress import SilentProgress
from mango_grader.training.batches import Batches, Examples
from mango_grader.training.checkpoint import load_checkpoint, save_checkpoint
from mango_grader.training.device import Device, seed_everything
from mango_grader.training.loop import Trainer, predict
from mango_grader.training.losses import AnytimeLoss, balanced_weights
from mango_grader.training.recipe import TrainRecipe, WeightRecipe
from mango_grader.training.statistics import batch_statistics

CPU = Device("cpu")
SPEC = NetworkSpec(
    (3, 8, 8),
    (
        Node("stem", Convolution(3, 8, 3), (IMAGE,)),
        Node("early", Classifier(8, 2, dropout=0.2), ("stem",)),
        Node("body", Convolution(8, 8, 3, stride=2), ("stem",)),
        Node("late", Classifier(8, 2), ("body",)),
    ),
    ("early", "late"),
)


def examples(count: int = 40) -> Examples:
    rng = np.random.default_rng(0)
    labels = np.arange(count) % 2
    images = rng.integers(0, 150, (count, 8, 8, 3)).astype(np.uint8)
    images[labels == 1, :, :, 0] += 90
    return Examples(images, labels, np.arange(count))


def trainer(epochs: int, checkpoint: Path | None = None, recipe: TrainRecipe | None = None) -> Trainer:
    seed_everything(5)
    recipe = recipe or TrainRecipe(epochs=epochs, batch_size=8, weights=WeightRecipe("adamw", 0.01, warmup=0.2))
    return Trainer(build_network(SPEC), recipe, Batches(examples(), 8, 5), examples(), 2, CPU, 5, checkpoint, 0.0)


@pytest.mark.parametrize("optimiser", ["sgd", "adamw"])
def test_training_learns(optimiser: str) -> None:
    weights = WeightRecipe(optimiser, 0.05 if optimiser == "sgd" else 0.01, nesterov=optimiser == "sgd", clip=5.0)
    trained = trainer(0, recipe=TrainRecipe(epochs=12, batch_size=8, weights=weights, balance=1.0))
    trained.run(SilentProgress())
    assert trained.history[-1]["val_accuracy"][-1] >= 0.95
    assert trained.history[-1]["loss"] < trained.history[0]["loss"]


@pytest.mark.parametrize("stop", [1, 3])
def test_resuming_is_bitwise_the_same(stop: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = trainer(5)
    whole.run(SilentProgress())
    broken = trainer(5, tmp_path / "state.safetensors")
    epoch = Trainer._epoch

    def stops(self: Trainer, number: int, *rest: object) -> object:
        if number == stop:
            raise KeyboardInterrupt
        return epoch(self, number, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_epoch", stops)
        with pytest.raises(KeyboardInterrupt):
            broken.run(SilentProgress())
    resumed = trainer(5, tmp_path / "state.safetensors")
    resumed.run(SilentProgress())
    assert resumed.history == whole.history
    for own, other in zip(resumed.net.state_dict().values(), whole.net.state_dict().values(), strict=True):
        assert torch.equal(own, other)


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


def test_checkpoints_refuse_objects(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="cannot hold"):
        save_checkpoint(tmp_path / "state", {"object": object()})
    assert not list(tmp_path.iterdir())


def test_the_loss_weighs_exits_and_classes() -> None:
    logits = [torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 2.0]])]
    label = torch.tensor([0])
    right, wrong = (torch.nn.functional.cross_entropy(exit_logits, label) for exit_logits in logits)
    torch.testing.assert_close(AnytimeLoss()(logits, label), (right + wrong) / 2)
    torch.testing.assert_close(AnytimeLoss((3.0, 1.0))(logits, label), (3 * right + wrong) / 4)
    weights = balanced_weights(np.array([0, 0, 0, 1]), 2)
    assert weights[1] == pytest.approx(3 * weights[0])
    assert balanced_weights(np.array([0, 0, 0, 1]), 2, strength=0.0) == pytest.approx([1, 1])


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
