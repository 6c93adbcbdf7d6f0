"""Presets, the paper's own among them: three steps of it, and what all of it would take."""

from dataclasses import replace

import numpy as np
import pytest

from mango_grader.automl import methods
from mango_grader.automl.evaluate import SearchProblem
from mango_grader.automl.search import build_search
from mango_grader.automl.search_space import SearchSpace
from mango_grader.automl.shared import SearchData
from mango_grader.automl.spaces import LayerwiseConfig
from mango_grader.automl.supernet import gates_of
from mango_grader.automl.timetable import StepSeconds
from mango_grader.training.batches import Batches, Examples
from mango_grader.workflow.config import RunConfig
from mango_grader.workflow.options import SearchOptions
from mango_grader.workflow.presets import PRESETS
from mango_grader.workflow.run.budget import Probe, TrainCost, Workload, make_plan


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("method", methods.METHODS)
def test_configurations_survive_json(preset: str, method: str) -> None:
    config = SearchOptions(data=".", preset=preset, method=method).config()
    assert RunConfig.from_dict(config.to_dict()) == config


def test_the_paper_preset_is_the_paper() -> None:
    config = SearchOptions(data=".", preset="paper", method="enas").config()
    assert config.search is not None
    space, settings = config.search.space, config.search.method.settings
    assert isinstance(space, LayerwiseConfig)
    assert isinstance(settings, methods.EnasSettings)
    assert (space.height, space.width, space.depth, space.channels, space.reduce_at) == (24, 32, 12, 256, ())
    assert len(space.kernels) * len(space.dilations) == 20
    assert (settings.epochs, settings.steps, settings.held_out) == (100, 5000, 0.2)
    assert (settings.controller.hidden, settings.controller.lr) == (100, 0.1)
    assert (config.train.epochs, config.train.batch_size, config.train.weights.lr) == (100, 128, 0.001)
    assert config.data.rotate_portrait
    options = 1
    for decision in SearchSpace(space).decisions:
        options *= len(decision.candidates)
    assert options == 20**12 * np.prod([layer + 1 for layer in range(1, 13)], dtype=object), "20^12 · 13! of §3.2"


def test_three_steps_of_the_paper_and_the_cost_of_all() -> None:
    preset = PRESETS["paper"]
    space = SearchSpace(replace(preset.space("layerwise", 24, 32), classes=3))
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (4, 24, 32, 3), dtype=np.uint8), np.arange(4) % 3
    examples = Examples(images, labels, np.arange(4))
    data = SearchData(Batches(examples, 2, 0), examples)
    search = build_search("enas", preset.settings("enas"), SearchProblem(space), data, seed=0)
    method, shared = search.method, search.training
    assert shared is not None
    losses = [float(shared.step(n, 3, gates_of(space.sample(rng), space.decisions))) for n in range(3)]
    assert np.isfinite(losses).all()
    params = [space.derive(space.sample(rng)).params()[-1] for _ in range(20)]
    assert 2.0e6 < np.mean(params) < 3.2e6, "the paper's two networks have 2.5 and 3.1 M"
    steps = StepSeconds(weights=1.0, architecture=0.5, refit=0.0, score=2.0)
    workload = Workload(method.schedule(35), preset.settings("enas").scores)
    probe = Probe(steps, TrainCost(10.0), fixed=5.0)
    plan = make_plan(None, preset.setup.train.epochs, probe, lambda effort: effort * workload.seconds(steps))
    assert plan.search_s == 100 * 35 * 1.0 + 5000 * 0.5 + 50 * 2.0
    assert plan.train_s == 100 * 10.0
