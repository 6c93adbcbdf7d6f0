"""SPOS: uniform paths, recalibrated statistics, evolution under limits."""

import numpy as np
import torch
from mixed import search_of

from mango_grader.automl.evaluate import SharedWeights
from mango_grader.automl.methods import Spos, SposSettings
from mango_grader.automl.samplers import EvolutionSettings
from mango_grader.progress import SilentProgress
from mango_grader.training.batches import Batch
from mango_grader.training.recipe import WeightRecipe

SETTINGS = SposSettings(
    epochs=2,
    recalibration=2,
    evolution=EvolutionSettings(population=6, generations=3, parents=3, crossovers=3, mutations=3),
    weights=WeightRecipe(lr=0.05),
)


def test_the_published_evolution_takes_a_thousand_scores() -> None:
    assert SposSettings().scores == 1000
    assert SposSettings().scaled(0.0).scores == 1
    assert SposSettings().scaled(0.5).recalibration == SposSettings().recalibration, "a score costs what it did"


def test_weights_train_on_uniform_paths() -> None:
    search = search_of(Spos, SETTINGS)
    rng, space = np.random.default_rng(0), search.method.space
    runs = {d.name: np.zeros(len(d.candidates)) for d in space.decisions}
    for _ in range(600):
        for name, gate in search.method.gates(rng).items():
            assert gate.weight is None
            runs[name][list(gate.active)] += 1 / 600
    np.testing.assert_allclose(runs["one"], 0.5, atol=0.08)
    np.testing.assert_allclose(search.method.preference()["one"], runs["one"], atol=0.12)


def test_the_result_is_the_best_scored_and_no_candidate_is_scored_twice() -> None:
    search = search_of(Spos, SETTINGS)
    scored = {}

    def score(found):  # type: ignore[no-untyped-def]
        assert found not in scored
        scored[found] = float(len(found.choices["any"])) + (found.choices["one"] == ("k3",))
        return scored[found]

    result = search.method.finish(score, np.random.default_rng(0))
    assert scored[result] == max(scored.values())
    assert len(scored) <= SETTINGS.scores


def test_statistics_are_those_of_the_training_images_and_leave_no_trace() -> None:
    search = search_of(Spos, SETTINGS)
    search.run(SilentProgress())
    training, method = search.training, search.method
    assert training is not None
    seen = [training.batches[step] for step in range(method.settings.recalibration)]
    assert len(seen) == 2
    # Lighter held-out images: their own statistics hide that, those of the training images do not.
    shifted = [Batch((b.images.int() + 60).clamp(max=255).to(torch.uint8), b.labels) for b in training.held_out]
    common = (search.problem, training.net, shifted, training.device)
    before = {name: value.clone() for name, value in training.net.state_dict().items()}
    paths = [method.space.sample(np.random.default_rng(seed)) for seed in range(8)]
    recalibrated = [SharedWeights(*common, seen).score(path) for path in paths]
    by_batch = [SharedWeights(*common).score(path) for path in paths]
    assert recalibrated != by_batch
    assert all(torch.equal(value, before[name]) for name, value in training.net.state_dict().items())
