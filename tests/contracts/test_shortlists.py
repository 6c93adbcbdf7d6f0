"""What every search method hands to the short trainings that choose its result."""

import numpy as np
import pytest
from cases import METHODS, SPACES
from searching import make

from mango_grader.automl.limits import Limits
from mango_grader.automl.search_space import SearchSpace
from mango_grader.progress import SilentProgress

SPACE = SPACES["layerwise"]
COUNT = 5


@pytest.mark.parametrize("method", METHODS)
def test_a_short_list_is_feasible_distinct_and_always_the_same(method: str) -> None:
    space = SearchSpace(SPACE)
    sizes = [space.derive(space.sample(np.random.default_rng(i))).params()[-1] for i in range(30)]
    limits = Limits(max_params=int(np.quantile(sizes, 0.7)))
    search = make(method, SPACE, limits=limits)
    found = search.run(SilentProgress())
    others = search.others(found, COUNT)
    assert len(others) == COUNT
    assert all(limits.feasible(space, each) for each in others)
    networks = [space.final.derive(each) for each in (found, *others)]
    assert all(first != second for n, first in enumerate(networks) for second in networks[:n])
    scored = [search.scored[each] for each in others if each in search.scored]
    assert scored == sorted(scored, reverse=True)
    assert all(each in search.scored for each in others[: len(scored)]), "draws come after what was scored"
    if search.scored:
        assert search.scored.get(found, max(search.scored.values())) == max(search.scored.values())
    assert search.others(found, COUNT) == others
    assert search.others(found, 2) == others[:2]
