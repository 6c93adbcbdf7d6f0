"""Decisions that choose several candidates: legality, encoding and rounding."""

from dataclasses import dataclass
from itertools import combinations
from typing import ClassVar

import numpy as np
import pytest

from mango_grader.automl.architecture import Architecture
from mango_grader.automl.graph import Branch, Choice, SearchGraph
from mango_grader.automl.search_space import SearchSpace
from mango_grader.automl.spaces import Decision, SpaceConfig
from mango_grader.models.operations import Add, Classifier, Convolution
from mango_grader.models.spec import IMAGE, Node

EDGES = Decision("edges", ("a:x", "a:y", "b:x", "b:y", "c:x"), 2, 2, groups=((0, 1), (2, 3), (4,)))
SUBSET = Decision("kept", ("p", "q", "r"), 0, 3)


@dataclass(frozen=True)
class ManyChoices(SpaceConfig):
    """A DARTS-like node (two of five edges, one per input) and a free subset."""

    kind: ClassVar[str] = "many-choices"

    def decisions(self) -> tuple[Decision, ...]:
        return EDGES, SUBSET

    def graph(self) -> SearchGraph:
        edges = tuple(Branch(name, Convolution(3, 4, 3), (IMAGE,)) for name in EDGES.candidates)
        kept = tuple(Branch(name, Convolution(4, 4, 3), ("node",)) for name in SUBSET.candidates)
        nodes = (
            Choice("node", "edges", edges),
            Choice("free", "kept", kept),
            Node("sum", Add(), ("node", "free")),
            Node("exit", Classifier(4, self.classes), ("sum",)),
        )
        return SearchGraph((3, self.height, self.width), nodes, ("exit",))


@pytest.fixture
def space() -> SearchSpace:
    return SearchSpace(ManyChoices(8, 8, 2))


def every_architecture(space: SearchSpace) -> list[Architecture]:
    def choices(decision: Decision) -> list[tuple[str, ...]]:
        sizes = range(decision.min_chosen, decision.max_chosen + 1)
        found = (chosen for size in sizes for chosen in combinations(decision.candidates, size))
        return [chosen for chosen in found if decision.allows(chosen)]

    return [
        Architecture(space.config, {"edges": edges, "kept": kept})
        for edges in choices(EDGES)
        for kept in choices(SUBSET)
    ]


def test_legal_tokens_spell_exactly_the_legal_architectures(space: SearchSpace) -> None:
    def spell(prefix: tuple[int, ...]) -> list[tuple[int, ...]]:
        if len(prefix) == len(space.slots):
            return [prefix]
        return [full for token in np.flatnonzero(space.legal(prefix)) for full in spell((*prefix, int(token)))]

    spelled = [space.decode(tokens) for tokens in spell(())]
    assert len(spelled) == len(set(spelled))
    assert set(spelled) == set(every_architecture(space))
    assert len(spelled) == 8 * 8


def test_groups_are_exclusive() -> None:
    assert EDGES.allows(("a:x", "b:y"))
    assert not EDGES.allows(("a:x", "a:y"))
    assert not EDGES.allows(("b:y", "a:x")), "candidates come in their order"


def test_nearest_takes_one_per_group_and_positive_extras(space: SearchSpace) -> None:
    scores = {"edges": np.array([5.0, 4.0, 1.0, 2.0, 0.0]), "kept": np.array([-1.0, 0.5, 0.0])}
    assert space.nearest(scores).choices == {"edges": ("a:x", "b:y"), "kept": ("q",)}


def test_derived_networks_sum_what_was_chosen(space: SearchSpace) -> None:
    spec = space.derive(Architecture(space.config, {"edges": ("a:x", "c:x"), "kept": ()}))
    assert [node.name for node in spec.nodes] == ["node/a:x", "node/c:x", "node", "sum", "exit"]
    assert spec.nodes[3].inputs == ("node",)


@pytest.mark.parametrize(
    ("tokens", "why"), [((0, 1, 3, 3, 3), "one group twice"), ((0, 2), "too short"), ((0, 5, 3, 3, 3), "too few")]
)
def test_illegal_tokens_are_refused(space: SearchSpace, tokens: tuple[int, ...], why: str) -> None:
    with pytest.raises(ValueError, match="not a legal choice"):
        space.decode(tokens)


@pytest.mark.parametrize(
    "wrong",
    [
        {"space": {"kind": "nowhere"}, "choices": {}},
        {"space": {"kind": "layerwise", "height": 8, "width": 8, "classes": 2, "colour": 1}, "choices": {}},
        {"space": {"kind": "layerwise", "height": 8, "width": 8, "classes": 2}, "choices": {"layer1.skip": ["none"]}},
    ],
)
def test_json_that_describes_nothing_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"unknown space|no setting|do not fit"):
        Architecture.from_dict(wrong)
