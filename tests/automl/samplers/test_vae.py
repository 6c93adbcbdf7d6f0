"""The VAE reproduces what it is fitted on, dependences included, and still draws what it has not seen."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from kinds import kinds, legal

from mango_grader.automl.architecture import Architecture
from mango_grader.automl.samplers import VaeSampler, VaeSettings
from mango_grader.automl.search_space import SearchSpace
from mango_grader.training.checkpoint import load_checkpoint, save_checkpoint

SETTINGS = VaeSettings(layers=1, kept=60)


@pytest.fixture(scope="module")
def space() -> SearchSpace:
    return kinds()


@pytest.fixture(scope="module")
def skewed(space: SearchSpace) -> list[Architecture]:
    """`second` always equals `first`, which is mostly a or b; the rest is uniform."""
    rng, made = np.random.default_rng(0), []
    while len(made) < 60:
        same = (str(rng.choice(list("abc"), p=[0.5, 0.4, 0.1])),)
        made.append(Architecture(space.config, {**space.sample(rng).choices, "first": same, "second": same}))
        made = list(dict.fromkeys(made))
    return made


def fitted(space: SearchSpace, examples: Sequence[Architecture], fits: int) -> VaeSampler:
    torch.manual_seed(0)
    sampler = VaeSampler(space, SETTINGS)
    sampler.remember([(found, 1.0) for found in examples])
    for _ in range(fits):
        sampler.fit()
    return sampler


@pytest.fixture(scope="module")
def drawn(space: SearchSpace, skewed: list[Architecture]) -> list[Architecture]:
    return fitted(space, skewed, fits=5).ask(np.random.default_rng(1), 400)


def test_draws_are_legal_before_and_after_fitting(space: SearchSpace, drawn: list[Architecture]) -> None:
    unfitted = VaeSampler(space, SETTINGS).ask(np.random.default_rng(0), 50)
    assert all(legal(space, found) for found in [*unfitted, *drawn])


def test_marginals_are_learned(space: SearchSpace, skewed: list[Architecture], drawn: list[Architecture]) -> None:
    seen, shares = space.frequencies(skewed), space.frequencies(drawn)
    for name in ("first", "second"):
        from_uniform = np.abs(seen[name] - 0.2).sum()
        assert np.abs(seen[name] - shares[name]).sum() < 0.35 * from_uniform


def test_dependence_is_learned_beyond_the_marginals(space: SearchSpace, drawn: list[Architecture]) -> None:
    shares = space.frequencies(drawn)
    if_independent = float(shares["first"] @ shares["second"])
    equal = np.mean([found.choices["first"] == found.choices["second"] for found in drawn])
    assert equal > if_independent + 0.2, "the latent is used"


def test_it_does_not_learn_by_heart(skewed: list[Architecture], drawn: list[Architecture]) -> None:
    assert np.mean([found not in skewed for found in drawn]) > 0.5
    assert len(set(drawn)) > 150


def test_the_archive_keeps_the_best_and_the_latest_score(space: SearchSpace) -> None:
    rng = np.random.default_rng(0)
    first, second, third = (space.sample(rng) for _ in range(3))
    sampler = VaeSampler(space, VaeSettings(kept=2))
    sampler.remember([(first, 0.9), (second, 0.5)])
    sampler.remember([(first, 0.1), (third, 0.3)])
    assert sampler.archive == {space.encode(second): 0.5, space.encode(third): 0.3}


def test_telling_improves_the_draws(space: SearchSpace) -> None:
    torch.manual_seed(0)
    sampler, rng, means = VaeSampler(space, VaeSettings(layers=1, kept=15)), np.random.default_rng(0), []
    for _ in range(5):
        asked = sampler.ask(rng, 30)
        scores = [float(sum(found.choices[name] == ("c",) for name in ("first", "second"))) for found in asked]
        means.append(np.mean(scores))
        sampler.tell(list(zip(asked, scores, strict=True)))
    assert means[-1] > means[0] + 0.6


def test_a_restored_sampler_goes_on_the_same(
    space: SearchSpace, skewed: list[Architecture], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("vae") / "state.safetensors"
    sampler = fitted(space, skewed, fits=1)
    save_checkpoint(path, sampler.state_dict())
    sampler.fit()
    torch.manual_seed(7)
    restored = VaeSampler(space, SETTINGS)
    restored.load_state_dict(load_checkpoint(path))
    assert restored.archive == {space.encode(found): 1.0 for found in skewed}
    restored.fit()
    assert restored.ask(np.random.default_rng(2), 30) == sampler.ask(np.random.default_rng(2), 30)
    own, other = sampler.state_dict()["model"], restored.state_dict()["model"]
    assert all(torch.equal(own[name], other[name]) for name in own)


def test_nothing_is_fitted_where_nothing_was_told(space: SearchSpace) -> None:
    assert VaeSampler(space, SETTINGS).fit() == {}
