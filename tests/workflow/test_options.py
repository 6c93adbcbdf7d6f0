"""From options to a configuration."""

from dataclasses import replace

import pytest

from mango_grader import SearchOptions
from mango_grader.automl.methods import EnasSettings
from mango_grader.errors import UsageError
from mango_grader.workflow.presets import quick


def test_a_method_that_a_preset_does_not_mention_runs_with_its_published_settings(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(quick, "QUICK", replace(quick.QUICK, methods={}))
    search = SearchOptions(data=".", method="enas").config().search
    assert search is not None
    assert search.method.settings == EnasSettings()


@pytest.mark.parametrize("method", ["dso", "ms-ranas"])
def test_edges_cannot_be_made_rarer_where_all_are_opened(method: str) -> None:
    sparse = {"data": ".", "space": "dag", "settings": ["space.edge_probability=0.3"]}
    with pytest.raises(UsageError, match="edge_probability must stay"):
        SearchOptions(method=method, **sparse).config()
    search = SearchOptions(method="spos", **sparse).config().search
    assert search is not None
    assert all(decision.probability == 0.3 for decision in search.space.decisions())
