"""ENAS's two schedules."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from mango_grader.automl.architecture import Architecture
from mango_grader.automl.cost import macs
from mango_grader.automl.methods import Enas, EnasSettings
from mango_grader.automl.objective import Objective
from mango_grader.automl.samplers import ControllerSettings
from mango_grader.automl.search_space import SearchSpace
from mango_grader.automl.shared import ArchStep
from mango_grader.automl.spaces import LayerwiseConfig
from mango_grader.training.device import seed_everything

SPACE = SearchSpace(LayerwiseConfig(8, 8, 2, depth=3, channels=4, kernels=(3, 5), dilations=(1,), exits=(1, 3)))
SETTINGS = EnasSettings(epochs=4, steps=10, controller=ControllerSettings(lr=0.05))


def method(**changes: object) -> Enas:
    seed_everything(0)
    return Enas(SPACE, lambda _: True, replace(SETTINGS, **changes))  # type: ignore[arg-type]


@pytest.mark.parametrize("schedule", ["two_phases", "alternating"])
def test_both_schedules_take_the_same_steps(schedule: str) -> None:
    kinds = [kind for round_ in method(schedule=schedule).schedule(5) for kind in round_.steps()]
    assert (kinds.count("weights"), kinds.count("architecture")) == (4 * 5, 10)
    first = kinds.index("architecture")
    assert first == (20 if schedule == "two_phases" else 5), "the controller waits for all epochs, or for one"


def test_alternating_trains_what_the_controller_prefers() -> None:
    """Rewards for k5 everywhere: then the paths that weights learn on have it, unless they are drawn uniformly."""
    searchers = {name: method(schedule=name) for name in ("two_phases", "alternating")}
    shares = {}
    for name, searcher in searchers.items():
        rng = np.random.default_rng(0)
        for _ in range(60):
            drawn = searcher.controller.ask(rng, 4)
            searcher.controller.tell([(path, k5_share(path)) for path in drawn])
        opened = [searcher.gates(rng)["layer1.convolution"].active for _ in range(60)]
        shares[name] = np.mean([active == (1,) for active in opened])
    assert shares["alternating"] > 0.8
    assert 0.3 < shares["two_phases"] < 0.7


def k5_share(path: Architecture) -> float:
    convolutions = [chosen for name, chosen in path.choices.items() if name.endswith("convolution")]
    return float(np.mean([chosen == ("k5d1",) for chosen in convolutions]))


def test_fault_the_best_minibatch_was_one_of_the_controllers_training() -> None:
    """A lucky reward before the first step won; §3.1 rewards samples of the *trained* policy, on a mini-batch each."""
    searcher = method(result="minibatch", steps=60, paths=4, samples=20)
    kinds = [kind for round_ in searcher.schedule(5) for kind in round_.steps()]
    assert kinds.count("architecture") == 60 + 20
    rng, rewarded = np.random.default_rng(0), dict[Architecture, float]()

    def reward(path: Architecture) -> float:
        rewarded[path] = k5_share(path) / 2
        return rewarded[path]

    for number in range(80):
        lucky = number == 0
        if number == 60:
            trained, rewarded = searcher.controller.state_dict(), {}
        score = (lambda _: 1.0) if lucky else reward
        searcher.update(ArchStep(Objective(), macs(SPACE), score, rng, number=number))
    after = searcher.controller.state_dict()["policy"]
    assert all(torch.equal(value, after[name]) for name, value in trained["policy"].items()), "it has learned enough"
    found = searcher.finish(lambda _: 0.0, rng)
    assert rewarded[found] == max(rewarded.values())
    restored = method(result="minibatch", steps=60, paths=4, samples=20)
    restored.load_state_dict(searcher.state_dict())
    assert restored.finish(lambda _: 0.0, rng) == found
