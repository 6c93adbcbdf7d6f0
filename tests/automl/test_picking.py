"""Whether the best candidate is better than the others, beside the noise of the held-out images."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from mixed import MixedConfig, search_of

from mango_grader.automl.evaluate import SharedWeights
from mango_grader.automl.methods import RandomSearch, RandomSettings
from mango_grader.automl.picking import pick_of
from mango_grader.progress import SilentProgress
from mango_grader.training.batches import Batch
from mango_grader.training.recipe import WeightRecipe

CANDIDATES = 8


def evaluator() -> SharedWeights:
    weights = WeightRecipe(optimiser="adamw", lr=0.02)
    search = search_of(RandomSearch, RandomSettings(epochs=10, samples=2, weights=weights), MixedConfig(8, 8, 2))
    search.run(SilentProgress())
    assert isinstance(search.evaluator, SharedWeights)
    return search.evaluator


def test_candidates_that_only_guess_are_seldom_told_apart() -> None:
    own, rng, clear = evaluator(), np.random.default_rng(0), 0
    # Between the two classes that the weights have learned: some candidates take an image for the one, some not.
    images = rng.integers(0, 120, (96, 8, 8, 3)) + rng.integers(0, 100, (96, 1, 1, 3))
    paths = [own.problem.space.sample(rng) for _ in range(CANDIDATES)]
    leads, chances = [], []
    for seed in range(12):
        labels = torch.from_numpy(rng.integers(0, 2, 96))
        guessing = replace(own, batches=[Batch(torch.from_numpy(images.astype(np.uint8)), labels)])
        pick = pick_of({path: guessing.score(path) for path in paths}, guessing, seed)
        assert pick is not None
        clear += pick.clear
        leads.append(pick.lead)
        chances.append(pick.chance)
    assert clear <= 3, "one of 20 is expected"
    assert np.mean(leads) > 0, "though the best lies ahead"
    assert np.mean(leads) > 0.3 * np.mean(chances), "and chance is no more than it must be"


def test_the_best_is_the_best_and_the_median_the_median() -> None:
    own = evaluator()
    paths = [own.problem.space.sample(np.random.default_rng(seed)) for seed in range(5)]
    pick = pick_of(dict(zip(paths, [0.1, 0.9, 0.4, 0.2, 0.5], strict=True)), own, 0)
    assert pick is not None
    assert pick.candidates == 5
    assert pick.lead == pytest.approx(0.5)
    assert pick.spread == pytest.approx(np.std([0.1, 0.9, 0.4, 0.2, 0.5], ddof=1))
    assert pick_of({paths[0]: 0.5}, own, 0) is None


def test_what_a_search_moved_may_be_asked_for_at_any_time() -> None:
    search = search_of(RandomSearch, RandomSettings(epochs=1, samples=4), MixedConfig(8, 8, 2))
    search.run(SilentProgress())
    found = search.movement()
    assert found.pick is not None
    assert found.pick.candidates == len(search.scored) > 1
    before = torch.random.get_rng_state()
    assert search.movement() == found
    assert torch.equal(torch.random.get_rng_state(), before), "what comes next draws as if nobody had asked"
