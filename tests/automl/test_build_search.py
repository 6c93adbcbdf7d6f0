"""A search is built from a name or a class, and the same seed makes the same one."""

import pytest
import torch
from mixed import search_of

from mango_grader.automl.methods import METHODS, RandomSearch, RandomSettings
from mango_grader.automl.search import Search, build_search
from mango_grader.automl.shared import SearchData
from mango_grader.training.recipe import WeightRecipe

SETTINGS = RandomSettings(epochs=1, samples=2, weights=WeightRecipe(lr=0.05))


@pytest.fixture(scope="module")
def built() -> Search:
    return search_of(RandomSearch, SETTINGS)


@pytest.fixture(scope="module")
def data(built: Search) -> SearchData:
    assert built.training is not None
    batches = built.training.batches
    return SearchData(batches, batches.examples)


def weights(search: Search) -> dict[str, torch.Tensor]:
    assert search.training is not None
    return search.training.net.state_dict()


def test_a_name_and_its_class_build_the_same_search(built: Search, data: SearchData) -> None:
    named = build_search("random", SETTINGS, built.problem, data, seed=0)
    assert type(named.method) is METHODS["random"] is RandomSearch
    for name, value in weights(build_search(RandomSearch, SETTINGS, built.problem, data, seed=0)).items():
        assert torch.equal(value, weights(named)[name])


def test_without_settings_the_published_ones_apply(built: Search, data: SearchData) -> None:
    search = build_search("random", None, built.problem, data, seed=0)
    assert search.method.settings == RandomSettings()
    assert search.training is not None
    assert search.training.recipe == RandomSettings().weights


def test_an_unknown_method_is_refused(built: Search, data: SearchData) -> None:
    with pytest.raises(KeyError, match="none such"):
        build_search("none such", None, built.problem, data, seed=0)


def test_costs_are_multiply_accumulates_unless_given(built: Search) -> None:
    assert built.problem.cost.unit == "MACs"
