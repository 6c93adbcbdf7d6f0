"""How many networks of a short list are trained, and for how long."""

import pytest

from mango_grader.automl.shortlist import Rung, ShortlistConfig, total_epochs
from mango_grader.ranges import RangeError


@pytest.mark.parametrize(
    ("size", "networks", "rungs"),
    [
        (8, 8, (Rung(8, 2), Rung(4, 4), Rung(2, 8))),
        (6, 6, (Rung(6, 2), Rung(3, 4))),
        (6, 5, (Rung(5, 2), Rung(2, 4))),
        (4, 9, (Rung(4, 2), Rung(2, 4))),
        (6, 1, ()),
        (1, 6, ()),
    ],
)
def test_the_better_half_is_trained_twice_as_long(size: int, networks: int, rungs: tuple[Rung, ...]) -> None:
    assert ShortlistConfig(size=size, epochs=2).rungs(networks) == rungs


@pytest.mark.parametrize("size", range(2, 17))
@pytest.mark.parametrize("allowed", [0.0, 3.9, 8.0, 12.5, 40.0, 111.0, 1e6])
def test_trainings_take_no_more_than_the_time_that_there_is_and_use_it(size: int, allowed: float) -> None:
    config = ShortlistConfig(size=size, epochs=2)
    rungs = config.rungs(size, allowed)
    assert total_epochs(rungs) <= allowed
    if not rungs:
        assert allowed < total_epochs(ShortlistConfig(size=min(size, 4), epochs=1).rungs(size))
        return
    assert rungs[0].networks >= min(size, 4)
    longer = ShortlistConfig(size=rungs[0].networks, epochs=rungs[0].epochs + 1).rungs(size)
    assert total_epochs(longer) > allowed or rungs[0].epochs == 8 * config.epochs


def test_a_short_list_of_nothing_is_refused() -> None:
    with pytest.raises(RangeError, match="size must be 1 or more"):
        ShortlistConfig(size=0)
