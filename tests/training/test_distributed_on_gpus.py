"""Two ranks whose networks are on a GPU train as one process does, BatchNorm of the whole batch included.

One GPU is enough: each rank has it as if it were that of a machine of its own. Where there is none, nothing is run.
"""

import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from ranks import environment, two_ranks
from shared_training import PLAIN, SGD, STEPS, TERMS, batches, network, same_weights, steps

from mango_grader.automl.sandwich import Sandwich, SandwichRule
from mango_grader.automl.search_space import SearchSpace
from mango_grader.automl.shared import SearchData, SharedTraining
from mango_grader.automl.spaces import LiteConfig
from mango_grader.automl.supernet import gates_of
from mango_grader.models import build_network
from mango_grader.training.device import Device, seed_everything
from mango_grader.training.learner import Learner
from mango_grader.training.recipe import Distillation, TrainRecipe
from mango_grader.training.world import World

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")

ALONE = Device("cuda:0")
# bfloat16 and TensorFloat-32 round more coarsely than the differences that are looked for.
_IN_FLOAT32 = """
import contextlib, sys, torch
import torch.distributed as dist
from mango_grader.training.device import Device
torch.backends.cudnn.allow_tf32 = False
Device.autocast = lambda self: contextlib.nullcontext()
if sys.argv.pop(1) == "gloo":
    dist.is_nccl_available = lambda: False
from mango_grader.cli import main
main()
"""


def on_two_machines(rank: int, port: int) -> dict[str, str]:
    """Return the variables of a rank; without a name of its own for each machine, NCCL refuses two on one GPU."""
    return environment(rank, port, machines=2) | {"NCCL_HOSTID": f"machine-{rank}"}


@pytest.fixture(autouse=True)
def _in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    def exactly(_: Device) -> AbstractContextManager[object]:
        return nullcontext()

    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    monkeypatch.setattr(Device, "autocast", exactly)


@pytest.fixture(scope="module", params=["nccl", "gloo"])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    follower = (sys.executable, "-W", "error", "-c", _IN_FLOAT32, request.param, "train")
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "gloo":
            patch.setattr(torch.distributed, "is_nccl_available", lambda: False)
        with two_ranks(follower, on_two_machines) as found:
            yield found


@pytest.fixture
def both(world: World) -> Device:
    return Device("cuda:0", world)


@pytest.mark.parametrize("recipe", [PLAIN, TERMS], ids=["plain", "every term"])
def test_two_ranks_equal_one_process_with_batchnorm_over_the_whole_batch(both: Device, recipe: TrainRecipe) -> None:
    losses, nets = [], []
    for device in (both, ALONE):
        seed_everything(5)
        learner = Learner(build_network(network(norm=True)), recipe, batches(), device)
        losses.append(steps(learner).cpu())
        nets.append(learner.kept)
    torch.testing.assert_close(*losses, rtol=0, atol=1e-4)
    same_weights(*nets)


def test_weight_steps_of_a_super_net_equal_those_of_one_process(both: Device) -> None:
    shape: dict[str, Any] = {"channels": (8, 8), "blocks": (1, 1), "strides": (1, 1), "exits": (1, 2)}
    space = SearchSpace(LiteConfig(8, 8, 3, kernels=(3, 5), elastic=True, halving="none", **shape))
    shown, rule = batches(15), SandwichRule(drawn=1, distillation=Distillation(0.7, 2.0))
    drawn = [gates_of(space.sample(np.random.default_rng(seed)), space.decisions) for seed in range(STEPS)]
    losses, nets = [], []
    for device in (both, ALONE):
        seed_everything(5)
        sandwich = Sandwich.of(space, rule)
        assert sandwich is not None
        data = SearchData(shown, shown.examples, device=device, sandwich=rule)
        training = SharedTraining(space, replace(SGD, lr=0.02), data, sandwich)
        losses.append(torch.stack([training.step(number, STEPS, path) for number, path in enumerate(drawn)]).cpu())
        nets.append(training.net)
    torch.testing.assert_close(*losses, rtol=0, atol=1e-4)
    same_weights(*nets)
