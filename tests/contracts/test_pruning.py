"""Sparse search prunes what is useless and keeps what is useful, however many steps it has.

Labels are those of `sight.py`: how pairs of dots lie. The block adds to its input any subset of four convolutions that
cost the same, of which only "sees" looks at neighbours.
"""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest
from sight import dots

from mango_grader.automl.evaluate import SearchProblem
from mango_grader.automl.graph import Branch, Choice, SearchGraph
from mango_grader.automl.methods.dso import Dso, DsoSettings
from mango_grader.automl.search import Search, build_search
from mango_grader.automl.search_space import SearchSpace
from mango_grader.automl.shared import SearchData
from mango_grader.automl.spaces import Decision, SpaceConfig
from mango_grader.models.operations import Add, Classifier, Convolution, Operation
from mango_grader.models.spec import IMAGE, Node
from mango_grader.progress import SilentProgress
from mango_grader.training.batches import Batches, Examples
from mango_grader.training.recipe import WeightRecipe

_SIZE, _CHANNELS = 10, 8  # of the images of `dots`, and of the network


USELESS = ("blind1", "blind2", "blind3")


def _convolution(name: str) -> Operation:
    """Return a 3×3 convolution; of one that is blind, all taps but the middle one lie outside the image."""
    return Convolution(_CHANNELS, _CHANNELS, 3, dilation=_SIZE if name in USELESS else 1)


SETTINGS = DsoSettings(
    pretrain=10,
    epochs=10,
    gamma=None,
    keep=0.4,
    lr=0.2,
    clip=0.1,
    held_out=0.5,
    weights=WeightRecipe(optimiser="adamw", lr=0.02, weight_decay=1e-3, clip=5.0, frozen_scale=True),
)


@dataclass(frozen=True)
class BlockConfig(SpaceConfig):
    """1×1 stem, the block, a classifier."""

    kind: ClassVar[str] = "block"

    def decisions(self) -> tuple[Decision, ...]:
        names = (*USELESS, "sees")
        return (Decision("out", names, 0, len(names)),)

    def graph(self) -> SearchGraph:
        branches = tuple(Branch(name, _convolution(name), ("stem",)) for name in (*USELESS, "sees"))
        nodes = (
            Node("stem", Convolution(3, _CHANNELS), (IMAGE,)),
            Choice("block/out", "out", branches),
            Node("block", Add(activate=False), ("stem", "block/out")),
            Node("exit", Classifier(_CHANNELS, self.classes), ("block",)),
        )
        return SearchGraph((3, self.height, self.width), nodes, ("exit",))


def block_search(settings: DsoSettings, seed: int) -> Search:
    """Return a search of the block, ready to run."""
    examples, cut = dots(seed), round(192 * (1 - settings.held_out))
    parts = [Examples(examples.images, examples.labels, rows) for rows in np.split(np.arange(192), [cut])]
    data = SearchData(Batches(parts[0], 32, seed), parts[1])
    return build_search(Dso, settings, SearchProblem(SearchSpace(BlockConfig(_SIZE, _SIZE, 2))), data, seed)


# Efforts, and seeds of as many searches: the longest takes seconds.
@pytest.mark.parametrize(("effort", "seeds"), [(0.1, 3), (0.2, 3), (1.0, 2), (8.0, 1)])
def test_at_any_effort_what_is_useless_goes_and_what_is_useful_stays(effort: float, seeds: int) -> None:
    for seed in range(seeds):
        search = block_search(SETTINGS.scaled(effort), seed)
        found = search.run(SilentProgress())
        assert found.choices["out"] == ("sees",)
        assert isinstance(search.method, Dso)
        *useless, useful = search.method.factors.ahead.tolist()
        assert useful > 0 == max(useless), "it was λ that decided, not the cut at the end"
        shares = [row["kept_macs"] for row in search.history if "kept_macs" in row]
        assert len(shares) == max(1, 10 * effort)
        assert search.movement().kept == (1, 4)
        if effort >= 1:
            assert shares[0] == 1.0
            assert shares[-1] == pytest.approx(0.258, abs=1e-3), "what the last quarter of the steps goes on with"


def test_a_fixed_gamma_that_is_too_weak_for_so_few_steps_prunes_nothing_and_says_so() -> None:
    weak = replace(SETTINGS, keep=None, gamma=1e-3).scaled(0.2)
    search = block_search(weak, 0)
    assert search.run(SilentProgress()).choices["out"] == (*USELESS, "sees")
    assert search.method.reach(6) == 0.0
    assert not search.movement().moved


def test_where_steps_are_left_out_what_is_beyond_is_cut_off_at_the_end() -> None:
    search = block_search(SETTINGS, 0)
    search.method.update(search.arch_step(0, np.random.default_rng(0)))  # and the time is up
    assert search.movement().kept == (4, 4)
    found = search.method.finish(lambda _: 0.0, np.random.default_rng(0))
    assert len(found.choices["out"]) == 1


def test_a_search_whose_last_pruning_step_is_left_out_prunes_in_the_next() -> None:
    search = block_search(SETTINGS, 0)
    rng = np.random.default_rng(0)
    for number in (0, 1, 2, 29):
        search.method.update(search.arch_step(number, rng))
    assert search.movement().kept == (1, 4)
