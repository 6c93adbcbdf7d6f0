"""Stages that are run one at a time: images wait between two stages, in whatever company they go on."""

import numpy as np
import pytest
from noisy_fruit import draw_fruit, load_stages, make_noisy_bundle

from mango_grader.runtime.exits import Full
from mango_grader.runtime.inference.in_flight import InFlight
from mango_grader.runtime.inference.sessions import StagedModel

IMAGES = draw_fruit(12, seed=3).images


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> StagedModel:
    return load_stages(make_noisy_bundle(tmp_path_factory.mktemp("stages") / "noisy.mango"))


def test_stage_by_stage_gives_the_answers_of_a_whole_run(model: StagedModel) -> None:
    batch, found = model.begin(IMAGES), []
    for number in range(3):
        assert (len(batch), batch.stages) == (12, number)
        answer, batch = model.advance(batch)
        found.append(answer)
    np.testing.assert_array_equal(np.stack(found), model.run(IMAGES, Full()).history)
    assert batch.stages == 3


def test_images_go_on_in_other_company(model: StagedModel) -> None:
    expected = model.every_exit(IMAGES)
    _, even = model.advance(model.begin(IMAGES[::2]))
    _, odd = model.advance(model.begin(IMAGES[1::2]))
    batch = InFlight.joined([odd.rows([5, 0]), even.rows([2])])  # images 11, 1 and 4
    answer, batch = model.advance(batch)
    np.testing.assert_array_equal(answer, expected[1, [11, 1, 4]])
    answer, _ = model.advance(batch.rows([1]))
    np.testing.assert_array_equal(answer, expected[2, [1]])


def test_rows_do_not_keep_their_batch_alive(model: StagedModel) -> None:
    _, batch = model.advance(model.begin(IMAGES))
    (own,), (whole,) = batch.rows([3]).state.values(), batch.state.values()
    assert not np.shares_memory(own, whole)


def test_images_of_different_stages_make_no_batch(model: StagedModel) -> None:
    before = model.begin(IMAGES)
    _, behind = model.advance(before)
    with pytest.raises(ValueError, match="different stages"):
        InFlight.joined([before, behind])
