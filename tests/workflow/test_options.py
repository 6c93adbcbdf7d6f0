"""From options to a configuration."""

from dataclasses import replace

import pytest

from mango_grader import SearchOptions
from mango_grader.automl.methods import EnasSettings
from mango_grader.workflow.presets import quick


def test_a_method_that_a_preset_does_not_mention_runs_with_its_published_settings(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(quick, "QUICK", replace(quick.QUICK, methods={}))
    search = SearchOptions(data=".", method="enas").config().search
    assert search is not None
    assert search.method.settings == EnasSettings()
