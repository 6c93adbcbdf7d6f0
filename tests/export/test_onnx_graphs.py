import copy

import numpy as np
import onnx
import pytest
import torch
from exporting import HEIGHT, TEMPERATURES, WIDTH, random_images

from mango_grader.errors import ExportError
from mango_grader.export import Graphs, check_parity, export_graphs, quantise_stages, quantised_agreement
from mango_grader.export.chain import StageChain, full_logits
from mango_grader.models import AnytimeClassifier, FromBytes, NetworkSpec, Node, build_network
from mango_grader.models.operations import Classifier, Convolution


def test_every_exit_answers_as_torch_does(network: AnytimeClassifier, graphs: Graphs) -> None:
    found = check_parity(network, graphs, random_images(40), TEMPERATURES)
    assert found.images == 40
    for differences in (found.staged, found.full, found.staged_to_full):
        assert len(differences) == 3
        assert max(differences) <= 1e-5


@pytest.mark.parametrize("count", [1, 5])
def test_any_number_of_images(network: AnytimeClassifier, graphs: Graphs, count: int) -> None:
    images = random_images(count, seed=count)
    with torch.inference_mode():
        expected = torch.stack(copy.deepcopy(network).eval()(FromBytes()(torch.from_numpy(images)))).numpy()
    assert expected.shape == (3, count, 3)
    np.testing.assert_allclose(StageChain(graphs.stages).logits(images), expected, atol=1e-4)
    np.testing.assert_allclose(full_logits(graphs.full, images), expected, atol=1e-4)


def test_stages_pass_on_by_name_what_later_ones_need(graphs: Graphs) -> None:
    stages = [onnx.load_from_string(stage).graph for stage in graphs.stages]
    inputs = [[value.name for value in stage.input] for stage in stages]
    outputs = [[value.name for value in stage.output] for stage in stages]
    assert inputs[0] == ["images"]
    assert [names[0] for names in outputs] == ["logits"] * 3
    assert inputs[1] == outputs[0][1:] == ["state0", "state1"]
    assert inputs[2] == outputs[1][1:3] == ["state2", "state3"]
    (images,) = stages[0].input
    assert images.type.tensor_type.elem_type == onnx.TensorProto.UINT8
    dimensions = images.type.tensor_type.shape.dim
    assert dimensions[0].dim_param
    assert [each.dim_value for each in dimensions[1:]] == [HEIGHT, WIDTH, 3]


def test_full_graph_has_every_exit(graphs: Graphs) -> None:
    graph = onnx.load_from_string(graphs.full).graph
    assert [value.name for value in graph.output] == ["logits0", "logits1", "logits2"]


def test_batchnorm_is_folded_and_dropout_gone(graphs: Graphs) -> None:
    for serialised in (*graphs.stages, graphs.full):
        kinds = {node.op_type for node in onnx.load_from_string(serialised).graph.node}
        assert "Conv" in kinds
        assert not kinds & {"BatchNormalization", "Dropout"}


def test_graphs_say_nothing_of_the_machine_that_made_them(graphs: Graphs) -> None:
    for serialised in (*graphs.stages, graphs.full):
        assert b".py" not in serialised
        assert b"site-packages" not in serialised


def test_the_network_stays_as_it_was(network: AnytimeClassifier) -> None:
    before = copy.deepcopy(network.state_dict())
    network.train()
    export_graphs(network)
    assert network.training
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_a_single_exit_is_one_stage() -> None:
    stem = Node("stem", Convolution(3, 4, 3, 2), ("image",))
    network = build_network(
        NetworkSpec((3, HEIGHT, WIDTH), (stem, Node("exit", Classifier(4, 2), ("stem",))), ("exit",))
    )
    graphs = export_graphs(network)
    assert len(graphs.stages) == 1
    check_parity(network, graphs, random_images(3), [1.0])


def test_graphs_of_other_weights_are_refused_with_figures(network: AnytimeClassifier, graphs: Graphs) -> None:
    other = copy.deepcopy(network)
    with torch.no_grad():
        other.get_submodule("nodes.exit2.linear").bias[0] += 0.01
    with pytest.raises(ExportError, match=r"stages and torch differ .*exit 1: \S+e-.*exit 2: 0\.00"):
        check_parity(other, graphs, random_images(4), TEMPERATURES)


def test_a_network_that_gives_no_finite_answer_is_refused(network: AnytimeClassifier) -> None:
    broken = copy.deepcopy(network)
    with torch.no_grad():
        broken.get_submodule("nodes.exit3.linear").bias[0] = float("nan")
    with pytest.raises(ExportError, match="exit 3: nan"):
        check_parity(broken, export_graphs(broken), random_images(2), TEMPERATURES)


def test_int8_stages_chain_as_the_others_and_answer_much_the_same(graphs: Graphs) -> None:
    images = random_images(60, seed=1)
    int8 = quantise_stages(graphs.stages, images)
    for stage, original in zip(int8, graphs.stages, strict=True):
        quantised, plain = onnx.load_from_string(stage).graph, onnx.load_from_string(original).graph
        assert list(quantised.input) == list(plain.input)
        assert [value.name for value in quantised.output] == [value.name for value in plain.output]
        assert "QuantizeLinear" in {node.op_type for node in quantised.node}
    unseen = random_images(80, seed=2)
    found = quantised_agreement(graphs.stages, int8, unseen, TEMPERATURES)
    assert found.images == 80
    assert min(found.same_answer) >= 0.85
    assert 0 < max(found.largest_change) < 0.3
    np.testing.assert_allclose(
        StageChain(int8).logits(unseen[:1]), StageChain(int8).logits(unseen[:5])[:, :1], atol=1e-5
    )
