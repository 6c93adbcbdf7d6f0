"""The sandwich rule: what a weight step adds up, what the largest path learns from, and who may not use it."""

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from click.testing import CliRunner
from mixed import MixedConfig
from torch import Tensor

from mango_grader.automl.sandwich import Sandwich, SandwichRule, extremes
from mango_grader.automl.search_space import SearchSpace
from mango_grader.automl.shared import SearchData, SharedTraining
from mango_grader.automl.spaces import LiteConfig, NasBench201Config
from mango_grader.automl.supernet import Gates, gates_of
from mango_grader.cli import main
from mango_grader.models import FromBytes
from mango_grader.training.batches import Batches, Examples
from mango_grader.training.recipe import Distillation, WeightRecipe

# One step of this recipe subtracts the gradient itself.
PLAIN_STEP = WeightRecipe("sgd", lr=1.0, momentum=0.0, weight_decay=0.0)
TEMPERATURE, WEIGHT = 2.0, 0.7
RULE = SandwichRule(drawn=2, distillation=Distillation(WEIGHT, TEMPERATURE))


@pytest.fixture
def space() -> SearchSpace:
    return SearchSpace(MixedConfig(8, 8, 2, smooth=True))


@pytest.fixture
def drawn(space: SearchSpace) -> list[Gates]:
    return [gates_of(space.sample(np.random.default_rng(seed)), space.decisions) for seed in (1, 2)]


def shared(space: SearchSpace, rule: SandwichRule) -> SharedTraining:
    """Return the same weights and batches every time."""
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 255, (16, 8, 8, 3), dtype=np.uint8), rng.integers(0, 2, 16)
    for_weights, held_out = (Examples(images, labels, rows) for rows in np.split(np.arange(16), 2))
    torch.manual_seed(0)
    data = SearchData(Batches(for_weights, 8, 0), held_out, sandwich=rule)
    return SharedTraining(space, PLAIN_STEP, data, Sandwich.of(space, rule))


def moved(training: SharedTraining, *gates: Gates) -> dict[str, Tensor]:
    """Return by how much one step moved each parameter, downhill."""
    before = {name: value.detach().clone() for name, value in training.net.named_parameters()}
    training.step(0, 1, *gates)
    return {name: before[name] - value.detach() for name, value in training.net.named_parameters()}


def slope(loss: Tensor, training: SharedTraining) -> dict[str, Tensor]:
    learned = training.learned()
    found = torch.autograd.grad(loss, list(learned.values()), allow_unused=True)
    return {
        name: torch.zeros_like(value) if gradient is None else gradient
        for (name, value), gradient in zip(learned.items(), found, strict=True)
    }


def answers(training: SharedTraining, gates: Gates) -> tuple[list[Tensor], Tensor]:
    batch = training.batches[0]
    logits: list[Tensor] = training.net(FromBytes()(batch.images), gates)
    return logits, batch.labels


def loss_of_labels(logits: list[Tensor], labels: Tensor) -> Tensor:
    return torch.stack([F.cross_entropy(each, labels) for each in logits]).mean()


def test_a_step_adds_up_the_losses_of_its_paths(space: SearchSpace, drawn: list[Gates]) -> None:
    apart = shared(space, RULE)
    smallest, largest = (gates_of(found, space.decisions) for found in extremes(space))
    logits, labels = answers(apart, largest)
    teacher = (logits[-1].detach() / TEMPERATURE).softmax(1)
    expected = [slope(loss_of_labels(logits, labels), apart)]
    for path in (smallest, *drawn):
        logits, labels = answers(apart, path)
        divergences = [(teacher * (teacher.log() - (x / TEMPERATURE).log_softmax(1))).sum(1).mean() for x in logits]
        distilled = TEMPERATURE**2 * torch.stack(divergences).mean()
        expected.append(slope((1 - WEIGHT) * loss_of_labels(logits, labels) + WEIGHT * distilled, apart))
    for name, step in moved(shared(space, RULE), *drawn).items():
        torch.testing.assert_close(step, torch.stack([each[name] for each in expected]).sum(0), rtol=1e-4, atol=1e-6)


def test_what_only_the_largest_path_uses_learns_from_its_labels_alone(space: SearchSpace) -> None:
    apart = shared(space, RULE)
    smallest, largest = (gates_of(found, space.decisions) for found in extremes(space))
    of_smallest = slope(loss_of_labels(*answers(apart, smallest)), apart)
    of_largest = slope(loss_of_labels(*answers(apart, largest)), apart)
    alone = [name for name, value in of_smallest.items() if not value.any() and of_largest[name].any()]
    assert alone
    step = moved(shared(space, RULE), smallest, smallest)
    for name in alone:
        torch.testing.assert_close(step[name], of_largest[name])


def test_without_the_rule_a_step_trains_the_one_path_that_was_drawn(space: SearchSpace, drawn: list[Gates]) -> None:
    apart = shared(space, SandwichRule())
    assert apart.paths == 1
    expected = slope(apart.loss(apart.batches[0], drawn[0]), apart)
    before = {name: value.detach().clone() for name, value in apart.net.named_parameters()}
    apart.step(0, 1, drawn[0])
    for name, value in apart.net.named_parameters():
        assert torch.equal(value, before[name] - expected[name]), name


def test_of_equally_cheap_candidates_the_smallest_path_takes_one_that_passes_something_on() -> None:
    # Of NAS-Bench-201's five, "none" and "skip_connect" cost nothing; a cell of "none" alone sees no image.
    smallest, largest = extremes(SearchSpace(NasBench201Config(16, 16, 2, cells=1, exits=(1, 3))))
    assert set(smallest.choices.values()) == {("skip_connect",)}
    assert set(largest.choices.values()) == {("nor_conv_3x3",)}


def test_the_largest_path_of_a_searched_resolution_sees_the_whole_image() -> None:
    # What the two cost lies in the nodes that they keep alive, not in their own operations.
    config = LiteConfig(32, 32, 5, channels=(8, 12), blocks=(1, 2), strides=(2, 2), exits=(1, 2), halving="searched")
    smallest, largest = extremes(SearchSpace(config))
    assert smallest.choices["halving"] == ("early",)
    assert largest.choices["halving"] == ("late",)


@pytest.mark.parametrize("method", ["dso", "ms-ranas"])
def test_methods_that_open_several_candidates_at_once_refuse_it_in_one_line(method: str, tmp_path: Path) -> None:
    start = ["search", "--data", str(tmp_path), "--out", str(tmp_path / "run"), "--method", method]
    result = CliRunner().invoke(main, [*start, "--set", "search.sandwich.drawn=2"])
    assert result.exit_code == 2
    (said,) = result.stderr.splitlines()
    assert f"sandwich.drawn must be 0 for {method}" in said
