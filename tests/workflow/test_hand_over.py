"""What a search hands to the training is what a resumed run reads."""

from pathlib import Path

import numpy as np
import pytest

from mango_grader.automl.search_space import SearchSpace
from mango_grader.automl.spaces import SPACES
from mango_grader.workflow.hand_over import Found
from mango_grader.workflow.presets import PRESETS
from mango_grader.workflow.run.folder import RunFolder


@pytest.mark.parametrize("kind", SPACES)
def test_a_resumed_run_trains_the_very_network_that_was_found(kind: str, tmp_path: Path) -> None:
    space = SearchSpace(PRESETS["quick"].space(kind, 64, 64))
    found = Found.of(space.sample(np.random.default_rng(0)))
    found.save(RunFolder(tmp_path))
    read = Found.load(RunFolder(tmp_path))
    assert read == found
    assert [node.name for node in read.spec.nodes] == [node.name for node in found.spec.nodes]
    assert read.architecture.space == space.final.config
