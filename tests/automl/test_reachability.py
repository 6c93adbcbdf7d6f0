"""What runs of a search graph: one rule, for an architecture as for chances."""

from collections.abc import Iterator

import pytest

from mango_grader.automl.graph import Branch, Certain, Choice, GraphBuilder, Reachability, SearchGraph
from mango_grader.models.operations import Add, Classifier, Concat, Convolution, Operation
from mango_grader.models.spec import IMAGE

CONV = Convolution(4, 4)


def graph(together: Operation) -> SearchGraph:
    """stem → left or nothing, right or nothing → together → exit; and a node that no exit needs."""
    builder = GraphBuilder(8, 8)
    stem = builder.add("stem", Convolution(3, 4), IMAGE)
    sides = [builder.choose(side, side, (Branch("conv", CONV, (stem,)), Branch("none"))) for side in ("left", "right")]
    builder.add("useless", CONV, stem)
    joined = builder.add("joined", together, *sides)
    builder.exit(1, Classifier(builder.shapes[joined][0], 2), joined)
    return builder.finish()


def runs(searched: SearchGraph, **choices: str) -> set[str]:
    def chosen(choice: Choice) -> Iterator[tuple[Branch, bool]]:
        return ((branch, True) for branch in choice.branches if branch.candidate == choices[choice.decision])

    return {each.name for each in Reachability(searched, chosen, Certain()).running(searched.exits) if each.chance}


def test_a_sum_survives_missing_inputs_and_a_concatenation_does_not() -> None:
    assert Add.optional_inputs
    assert not Concat.optional_inputs
    alone = {"stem", "left/conv", "joined", "exit1"}
    assert runs(graph(Add()), left="conv", right="none") == alone
    assert "joined" not in runs(graph(Concat()), left="conv", right="none")
    assert runs(graph(Concat()), left="conv", right="conv") == alone | {"right/conv"}


def test_nothing_runs_for_an_exit_that_the_image_does_not_reach() -> None:
    assert not runs(graph(Add()), left="none", right="none")


@pytest.mark.parametrize(("left", "right"), [("conv", "none"), ("none", "conv"), ("conv", "conv")])
def test_a_derived_network_holds_what_runs(left: str, right: str) -> None:
    searched = graph(Add())
    network = searched.derive({"left": (left,), "right": (right,)})
    assert {node.name for node in network.nodes} == runs(searched, left=left, right=right)
