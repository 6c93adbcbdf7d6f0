"""What every search method hands to the short trainings that choose its result."""

import numpy as np
import pytest
import torch
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


@pytest.mark.parametrize(("method", "path"), [("ms-ranas", "alphas"), ("dso", "margin"), ("betanas", "binary/logits")])
def test_proposals_follow_what_was_learned(method: str, path: str) -> None:
    """Draws of methods whose result is read off were uniform, whatever had been learned."""
    searcher = make(method, SPACE).method
    state = searcher.state_dict()
    learned = state[path] if "/" not in path else state["binary"]["logits"]
    with torch.no_grad():
        for part in learned.values() if isinstance(learned, dict) else [learned]:
            part.copy_(3 * torch.rand(part.shape, generator=torch.Generator().manual_seed(0)))
    searcher.load_state_dict(state)
    space, preference = searcher.space, searcher.preference()
    found = space.frequencies(searcher.propose(np.random.default_rng(1), 600))
    chosen = [name for name, share in preference.items() if np.ptp(share) > 0.3 and share.sum() <= 1.01]
    assert chosen, "something is preferred"
    for name in chosen:
        assert abs(found[name] - preference[name]).max() < 0.1
