"""Operations as graphs of their own."""

import numpy as np
import torch

from mango_grader.export.operations import copy_graph, export_from_bytes, export_operations
from mango_grader.models import FromBytes
from mango_grader.models.operations import Add, Convolution, Pool
from mango_grader.runtime.inference.sessions import make_session

RNG = np.random.default_rng(0)


def features(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape).astype(np.float32)


def test_each_graph_computes_its_own_operation() -> None:
    a, b, c = features(1, 4, 6, 6), features(1, 4, 6, 6), features(1, 8, 6, 6)
    graphs = export_operations(
        [(Add(), [(4, 6, 6)] * 2), (Convolution(8, 4, 3, 2), [(8, 6, 6)]), (Pool(maximum=True), [(8, 6, 6)])]
    )
    summed, convolved, pooled = (make_session(graph, "cpu") for graph in graphs)
    np.testing.assert_allclose(summed.run(None, {"input0": a, "input1": b})[0], np.maximum(a + b, 0), rtol=1e-6)
    assert convolved.run(None, {"input0": c})[0].shape == (1, 4, 3, 3)
    expected = torch.nn.functional.max_pool2d(torch.from_numpy(c), 3, 1, 1).numpy()
    np.testing.assert_allclose(pooled.run(None, {"input0": c})[0], expected)


def test_the_graphs_beside_them() -> None:
    a = features(1, 4, 6, 6)
    np.testing.assert_array_equal(make_session(copy_graph((4, 6, 6)), "cpu").run(None, {"input0": a})[0], a)
    image = RNG.integers(0, 256, (1, 5, 7, 3), dtype=np.uint8)
    made = make_session(export_from_bytes(5, 7), "cpu").run(None, {"input0": image})[0]
    np.testing.assert_allclose(made, FromBytes()(torch.from_numpy(image)).numpy(), rtol=1e-5)
