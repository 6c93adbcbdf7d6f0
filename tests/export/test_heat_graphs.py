"""Class maps are those of the answers: the mean of an exit's maps is its logits, whatever the exit is made of."""

from dataclasses import replace

import numpy as np
import onnx
import pytest
from exporting import HEIGHT, TEMPERATURES, WIDTH, random_images, seasoned
from onnx import numpy_helper

from mango_grader.errors import ExportError
from mango_grader.export import Graphs, check_heat, export_graphs, quantise_stages
from mango_grader.export.chain import StageChain
from mango_grader.models import NetworkSpec, Node
from mango_grader.models.baselines import BASELINES, MSDNetSettings, msdnet_spec
from mango_grader.models.operations import Classifier, Convolution


def means_and_logits(graphs: Graphs, stages: tuple[bytes, ...], height: int, width: int) -> None:
    images = np.random.default_rng(0).integers(0, 256, (4, height, width, 3)).astype(np.uint8)
    chain = StageChain(stages)
    logits = chain.logits(images)
    assert len(graphs.heat) == len(logits)
    for number, heat in enumerate(graphs.heat):
        maps = chain.maps(images, number, heat)
        assert maps.shape[:2] == logits.shape[1:]
        np.testing.assert_allclose(maps.mean(axis=(2, 3)), logits[number], rtol=1e-4, atol=1e-4)
        if maps.shape[2:] != (1, 1):
            assert maps.std(axis=(2, 3)).max() > 1e-3


def test_the_mean_of_the_maps_is_the_logits(graphs: Graphs) -> None:
    means_and_logits(graphs, graphs.stages, HEIGHT, WIDTH)


def test_so_it_is_in_int8_by_the_same_graphs(graphs: Graphs) -> None:
    means_and_logits(graphs, quantise_stages(graphs.stages, random_images(40, seed=1)), HEIGHT, WIDTH)


@pytest.mark.parametrize("name", ["efficientnet_lite0_front", "shufflenet_v2_x0_5", "mobilenet_v3_small", "resnet18"])
def test_the_maps_of_baselines_mean_their_logits(name: str) -> None:
    """MobileNetV3 has an activation behind its mean, ResNet's mean is exported in several steps."""
    graphs = export_graphs(seasoned(BASELINES[name]((3, 96, 64), 3)))
    means_and_logits(graphs, graphs.stages, 96, 64)


def test_the_maps_of_msdnet_mean_its_logits() -> None:
    graphs = export_graphs(seasoned(msdnet_spec((3, 48, 64), 3, MSDNetSettings(exits=(2, 3), channels=4))))
    means_and_logits(graphs, graphs.stages, 48, 64)


def test_exits_that_read_one_tensor_have_a_map_each() -> None:
    nodes = (
        Node("stem", Convolution(3, 4, 3, 2), ("image",)),
        Node("exit1", Classifier(4, 2), ("stem",)),
        Node("exit2", Classifier(4, 2), ("stem",)),
    )
    graphs = export_graphs(seasoned(NetworkSpec((3, HEIGHT, WIDTH), nodes, ("exit1", "exit2"))))
    means_and_logits(graphs, graphs.stages, HEIGHT, WIDTH)


def test_a_classifier_that_reads_every_position_has_no_maps() -> None:
    assert export_graphs(seasoned(BASELINES["alexnet"]((3, 64, 64), 3))).heat == ()


def test_maps_of_other_weights_are_refused_with_figures(graphs: Graphs) -> None:
    check_heat(graphs, random_images(4), TEMPERATURES)
    model = onnx.load_from_string(graphs.heat[1])
    bias = next(one for one in model.graph.initializer if one.name.startswith("bias"))
    changed = numpy_helper.to_array(bias) + np.array([0.01, 0, 0], np.float32)
    bias.CopyFrom(numpy_helper.from_array(changed.astype(np.float32), bias.name))
    other = replace(graphs, heat=(graphs.heat[0], model.SerializeToString(), graphs.heat[2]))
    with pytest.raises(ExportError, match=r"class maps and exits differ .*exit 1: \S+e-.*exit 2: 0\.00"):
        check_heat(other, random_images(4), TEMPERATURES)


def test_a_map_knows_where_the_evidence_is(graphs: Graphs) -> None:
    """A patch changes the maps most in its own quarter."""
    images = random_images(1).repeat(2, axis=0)
    images[1, :6, -6:] = 255 - images[1, :6, -6:]
    maps = StageChain(graphs.stages).maps(images, 0, graphs.heat[0])
    changed = np.abs(maps[1] - maps[0]).sum(axis=0)
    halves = [np.array_split(rows, 2, axis=1) for rows in np.array_split(changed, 2, axis=0)]
    sums = np.array([[quarter.sum() for quarter in row] for row in halves])
    assert sums.argmax() == 1


def test_the_features_are_an_output_of_their_own_or_a_state(graphs: Graphs) -> None:
    reads = [[port.name for port in onnx.load_from_string(heat).graph.input] for heat in graphs.heat]
    gives = [[port.name for port in onnx.load_from_string(stage).graph.output] for stage in graphs.stages]
    assert reads == [["state1"], ["features"], ["features"]]
    assert all(name in names for (name,), names in zip(reads, gives, strict=True))
    assert "features" not in gives[0]
    assert gives[2] == ["logits", "features"]
