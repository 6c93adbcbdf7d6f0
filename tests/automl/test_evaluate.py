"""Evaluators, and the step ahead that second-order methods need."""

import numpy as np
import pytest
import torch

from mango_grader.automl.evaluate import FromScratch, SearchProblem, SharedWeights, Tabular
from mango_grader.automl.methods import EnasSettings, RandomSettings
from mango_grader.automl.objective import Objective
from mango_grader.automl.search import build_search
from mango_grader.automl.search_space import SearchSpace
from mango_grader.automl.shared import SearchData, SharedStep, SharedTraining
from mango_grader.automl.spaces import LayerwiseConfig
from mango_grader.automl.supernet import gates_of
from mango_grader.training.batches import Batches, Examples
from mango_grader.training.device import Device
from mango_grader.training.recipe import TrainRecipe, WeightRecipe

CPU = Device("cpu")
CONFIG = LayerwiseConfig(12, 12, 2, depth=2, channels=8, kernels=(3, 5), dilations=(1,), exits=(1, 2))


@pytest.fixture
def space() -> SearchSpace:
    return SearchSpace(CONFIG)


def examples(count: int = 32) -> tuple[Examples, Examples]:
    rng = np.random.default_rng(0)
    labels = np.sort(np.arange(count) % 2)  # in class order, as packed data stand
    images = rng.integers(0, 150, (count, 12, 12, 3)).astype(np.uint8)
    images[labels == 1, :, :, 0] += 90
    rows = np.arange(count)
    return Examples(images, labels, rows[::2]), Examples(images, labels, rows[1::2])


def shared(space: SearchSpace) -> SharedTraining:
    for_weights, held_out = examples()
    settings = RandomSettings(weights=WeightRecipe(lr=0.1, weight_decay=0.01))
    data = SearchData(Batches(for_weights, 8, 1), held_out)
    training = build_search("random", settings, SearchProblem(space), data, seed=1).training
    assert training is not None
    return training


def test_shared_weights_learn_to_score_well(space: SearchSpace) -> None:
    training, rng = shared(space), np.random.default_rng(0)
    evaluator = SharedWeights(SearchProblem(space), training.net, training.held_out, CPU)
    for number in range(40):
        training.step(number, 40, gates_of(space.sample(rng), space.decisions))
    assert evaluator.score(space.sample(rng)) >= 0.9


def test_training_from_scratch_scores_alike_each_time(space: SearchSpace) -> None:
    for_weights, held_out = examples()
    recipe = TrainRecipe(epochs=10, batch_size=8, weights=WeightRecipe("adamw", 0.01))
    problem = SearchProblem(space, Objective(over="last"))
    evaluator = FromScratch(problem, recipe, Batches(for_weights, 8, 1), held_out, CPU, seed=2)
    architecture = space.sample(np.random.default_rng(3))
    assert evaluator.score(architecture) == evaluator.score(architecture) >= 0.9


def test_a_table_knows_only_its_entries(space: SearchSpace) -> None:
    first, second = (space.sample(np.random.default_rng(seed)) for seed in (0, 1))
    table = Tabular({first: 0.7})
    assert table.score(first) == 0.7
    with pytest.raises(KeyError):
        table.score(second)


def test_the_step_ahead_is_one_of_gradient_descent_and_leaves_no_trace(space: SearchSpace) -> None:
    training = shared(space)
    gates = gates_of(space.sample(np.random.default_rng(0)), space.decisions)
    batch = training.batches[0]
    before = {name: value.clone() for name, value in training.net.state_dict().items()}
    ahead = SharedStep(training, 0).virtual_step(gates, rate=0.1)
    assert all(torch.equal(value, before[name]) for name, value in training.net.state_dict().items())
    training.loss(batch, gates).backward()
    for name, parameter in training.net.named_parameters():
        slope = 0 if parameter.grad is None else parameter.grad + 0.01 * parameter
        torch.testing.assert_close(ahead[name], (parameter - 0.1 * slope).detach())
    assert training.loss(batch, gates, ahead).item() < training.loss(batch, gates).item()


def test_rewards_come_from_mixed_batches(space: SearchSpace) -> None:
    training = shared(space)
    assert len(training.rewards) == 2
    assert all(len(batch.labels.unique()) == 2 for batch in training.rewards)
    seen = sorted(bytes(image) for batch in training.rewards for image in batch.images.numpy())
    assert seen == sorted(bytes(image) for image in examples()[1].take(np.arange(16)).images.numpy())


def test_effort_scales_what_takes_time() -> None:
    assert EnasSettings().scaled(0.5) == EnasSettings(epochs=50, steps=2500, samples=25)
    least = EnasSettings().scaled(0.0)
    assert (least.epochs, least.steps, least.samples) == (1, 1, 1)
