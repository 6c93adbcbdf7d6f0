"""Drop path, dropout and auxiliary exits as transformations of a network's plain data."""

import numpy as np
import pytest
import torch

from mango_grader.automl.search_space import SearchSpace
from mango_grader.automl.spaces.layerwise import LayerwiseConfig
from mango_grader.errors import UsageError
from mango_grader.models import AnytimeClassifier, NetworkSpec, Node, build_network
from mango_grader.models.baselines import BASELINES
from mango_grader.models.modules import DropPath as DropPathModule
from mango_grader.models.operations import Add, Classifier, Concat, Convolution, DropPath, Operation
from mango_grader.models.regularise import AUXILIARY, with_auxiliary, with_drop_path, with_dropout, with_exit_gradient
from mango_grader.models.spec import IMAGE

CONV = Convolution(8, 8, 3)
STEM = ("stem", Convolution(3, 8, 3), IMAGE)
EXIT = Classifier(8, 3)


def network(*nodes: tuple[str, Operation, *tuple[str, ...]], exits: tuple[str, ...] = ("exit",)) -> NetworkSpec:
    return NetworkSpec((3, 12, 12), tuple(Node(name, op, tuple(inputs)) for name, op, *inputs in nodes), exits)


def dropped(spec: NetworkSpec) -> dict[str, list[str]]:
    """Return, by sum, what reaches it through drop path."""
    behind = {node.name: node.inputs[0] for node in spec.nodes if isinstance(node.op, DropPath)}
    sums = [node for node in spec.nodes if isinstance(node.op, Add)]
    return {node.name: [behind[name] for name in node.inputs if name in behind] for node in sums}


CELL = network(
    STEM,
    ("cell/s0", Convolution(8, 8), "stem"),
    ("cell/s1", Convolution(8, 8), "stem"),
    ("cell/a", CONV, "cell/s0"),
    ("cell/b", CONV, "cell/s1"),
    ("cell/node1", Add(activate=False), "cell/a", "cell/b"),
    ("cell/c", CONV, "cell/s1"),
    ("cell/node2", Add(activate=False), "cell/s0", "cell/c"),
    ("cell", Concat(), "cell/node1", "cell/node2"),
    ("exit", Classifier(16, 3), "cell"),
)


def test_of_a_residual_sum_only_the_block_is_dropped() -> None:
    spec = network(
        STEM,
        ("block/1", CONV, "stem"),
        ("block/2", CONV, "block/1"),
        ("block", Add(), "stem", "block/2"),
        ("next/1", CONV, "block"),
        ("next", Add(), "next/1", "block"),
        ("exit", EXIT, "next"),
    )
    assert dropped(with_drop_path(spec, 0.2)) == {"block": ["block/2"], "next": ["next/1"]}


def test_of_a_cell_node_both_edges_are_dropped_but_not_what_is_passed_on() -> None:
    assert dropped(with_drop_path(CELL, 0.2)) == {"cell/node1": ["cell/a", "cell/b"], "cell/node2": ["cell/c"]}


def test_a_sum_through_which_everything_passes_keeps_one_input() -> None:
    spec = network(STEM, ("a", CONV, "stem"), ("b", CONV, "stem"), ("sum", Add(), "a", "b"), ("exit", EXIT, "sum"))
    assert dropped(with_drop_path(spec, 0.2)) == {"sum": ["b"]}


def test_what_has_a_drop_path_already_gets_no_second_one() -> None:
    spec = network(
        STEM,
        ("block/1", CONV, "stem"),
        ("block/drop", DropPath(0.1), "block/1"),
        ("block", Add(), "stem", "block/drop"),
        ("single", Add(), "block"),
        ("exit", EXIT, "single"),
    )
    assert with_drop_path(spec, 0.5) == spec


@pytest.fixture(scope="module", params=range(4))
def searched(request: pytest.FixtureRequest) -> NetworkSpec:
    config = LayerwiseConfig(24, 24, 3, channels=8, depth=5, stem_channels=8, kernels=(3, 5), exits=(2, 5))
    space = SearchSpace(config)
    return space.derive(space.sample(np.random.default_rng(request.param)))


def everything(spec: NetworkSpec, rate: float = 0.3) -> NetworkSpec:
    return with_auxiliary(with_dropout(with_drop_path(spec, rate), 0.5))


def test_weights_fit_the_plain_network_strictly(searched: NetworkSpec) -> None:
    torch.manual_seed(0)
    plain, regular = build_network(searched), build_network(everything(searched))
    learned = regular.state_dict()
    assert set(plain.state_dict()) < set(learned)
    plain.load_state_dict({name: learned[name] for name in plain.state_dict()}, strict=True)
    assert {name.split(".")[1] for name in set(learned) - set(plain.state_dict())} == {AUXILIARY}
    for node in searched.nodes:
        assert node.name in {other.name for other in everything(searched).nodes}


def test_in_evaluation_nothing_is_different(searched: NetworkSpec) -> None:
    plain, regular = build_network(searched).eval(), build_network(everything(searched)).eval()
    regular.load_state_dict(plain.state_dict(), strict=False)
    for module in regular.modules():
        if isinstance(module, DropPathModule):
            module.progress = 1.0
    images = torch.randn(4, 3, 24, 24)
    answers = regular(images)
    assert len(answers) == len(searched.exits) + 1
    for own, other in zip(plain(images), answers, strict=False):
        assert torch.equal(own, other)


def test_dropped_paths_keep_the_expectation() -> None:
    torch.manual_seed(0)
    path = DropPathModule(DropPath(0.4)).train()
    features = torch.rand(20_000, 2, 1, 1) + 1
    assert torch.equal(path(features), features), "at first nothing is dropped"
    path.progress = 0.5
    out = path(features)
    assert (out == 0).all(1).float().mean().item() == pytest.approx(0.2, abs=0.01)
    assert out.mean().item() == pytest.approx(features.mean().item(), rel=0.02)
    assert torch.equal(path.eval()(features), features)


def test_dropout_is_put_before_every_exit(searched: NetworkSpec) -> None:
    ops = {node.name: node.op for node in with_dropout(searched, 0.6).nodes}
    assert [ops[name].dropout for name in searched.exits] == [0.6, 0.6]  # type: ignore[attr-defined]


def test_the_auxiliary_exit_sits_at_two_thirds_away_from_other_exits() -> None:
    chain = [(f"block{i}/conv", CONV, f"block{i - 1}/conv" if i else "stem") for i in range(9)]
    spec = network(STEM, *chain, ("exit", EXIT, "block8/conv"))
    places = {node.name: node.inputs for node in with_auxiliary(spec).nodes}
    assert places[AUXILIARY] == ("block5/conv",)
    spec = network(STEM, *chain, ("early", EXIT, "block5/conv"), ("exit", EXIT, "block8/conv"), exits=("early", "exit"))
    found = with_auxiliary(spec)
    assert found.exits == ("early", "exit", AUXILIARY)
    assert {node.name: node.inputs for node in found.nodes}[AUXILIARY] in (("block4/conv",), ("block6/conv",))


def test_the_auxiliary_exit_reads_whole_blocks() -> None:
    # The stem is too early, so the cell has to serve, although it feeds an exit already.
    assert {node.name: node.inputs for node in with_auxiliary(CELL).nodes}[AUXILIARY] == ("cell",)


def test_a_network_in_one_piece_has_no_place_for_one() -> None:
    spec = network(("exit", Classifier(3, 2), IMAGE))
    with pytest.raises(UsageError, match=r"train\.auxiliary"):
        with_auxiliary(spec)


@pytest.mark.parametrize("factor", [0.0, 0.25])
def test_earlier_exits_reach_the_shared_features_by_a_factor_and_learn_themselves_as_ever(factor: float) -> None:
    spec = BASELINES["efficientnet_lite0_front"]((3, 32, 32), 3)
    plain, scaled = (build_network(each) for each in (spec, with_exit_gradient(spec, factor)))
    scaled.load_state_dict(plain.state_dict())  # the same names
    images = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    for one, other in zip(plain.train()(images), scaled.train()(images), strict=True):
        assert torch.equal(one, other)

    def gradients(net: AnytimeClassifier, exit_: int) -> dict[str, torch.Tensor]:
        net.zero_grad()
        net(images)[exit_].square().sum().backward()
        return {name: p.grad.clone() for name, p in net.named_parameters() if p.grad is not None}

    for exit_ in (0, 1):
        ours, theirs = gradients(scaled, exit_), gradients(plain, exit_)
        for name, value in theirs.items():
            share = 1.0 if name.startswith("nodes.exit") else factor
            torch.testing.assert_close(ours.get(name, torch.zeros_like(value)), share * value)
    last = gradients(plain, 2)
    for name, value in gradients(scaled, 2).items():
        torch.testing.assert_close(value, last[name])
