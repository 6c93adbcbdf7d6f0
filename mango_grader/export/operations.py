"""Single operations as ONNX graphs, as latency measurements need them."""

from collections.abc import Sequence
from itertools import islice

import onnx
import torch
from torch import Tensor, nn

from mango_grader.export.onnx_graphs import cut, to_onnx
from mango_grader.export.serialise import IR_VERSION, OPSET
from mango_grader.models import FromBytes
from mango_grader.models.modules import build_operation, call
from mango_grader.models.operations import Operation, Shape

INPUT = "input"


def export_operations(operations: Sequence[tuple[Operation, Sequence[Shape]]]) -> list[bytes]:
    """Return one graph per operation, of fresh weights, with inputs "input0", "input1", … float32 (N, C, H, W).

    Torch traces all of them at once: its fixed cost is that of several operations. The global generator of random
    numbers stays as it was. Raises `ExportError` where torch cannot express one of them in ONNX.
    """
    with torch.random.fork_rng(devices=[]):
        modules = [build_operation(op) for op, _ in operations]
    # A batch of one would be taken for a constant.
    inputs = [[torch.zeros(2, *shape) for shape in shapes] for _, shapes in operations]
    return _export(modules, inputs)


def export_from_bytes(height: int, width: int) -> bytes:
    """Return the graph that makes standardised features of uint8 images "input0" (N, H, W, 3).

    Args:
        height: in pixels.
        width: in pixels.
    """
    return _export([FromBytes()], [[torch.zeros(2, height, width, 3, dtype=torch.uint8)]])[0]


def copy_graph(shape: Shape) -> bytes:
    """Return the graph that copies "input0", float32 (N, C, H, W): the cost of a session that computes nothing."""
    sides = [
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["N", *shape]) for name in (f"{INPUT}0", "out")
    ]
    node = onnx.helper.make_node("Identity", [f"{INPUT}0"], ["out"])
    graph = onnx.helper.make_graph([node], "mango-grader", sides[:1], sides[1:])
    opset = [onnx.helper.make_opsetid("", OPSET)]
    return bytes(onnx.helper.make_model(graph, opset_imports=opset, ir_version=IR_VERSION).SerializeToString())


class _SideBySide(nn.Module):
    """Modules that know nothing of each other: all their inputs in one list → all their outputs."""

    def __init__(self, modules: Sequence[nn.Module], counts: Sequence[int]) -> None:
        super().__init__()
        self.parts, self.counts = nn.ModuleList(modules), counts

    def forward(self, inputs: list[Tensor]) -> tuple[Tensor, ...]:
        """Hand each module its own inputs."""
        left = iter(inputs)
        return tuple(call(part, list(islice(left, n))) for part, n in zip(self.parts, self.counts, strict=True))


def _export(modules: Sequence[nn.Module], inputs: Sequence[Sequence[Tensor]]) -> list[bytes]:
    names = [[f"input{k}_{i}" for i in range(len(own))] for k, own in enumerate(inputs)]
    outputs = [f"output{k}" for k in range(len(modules))]
    together = _SideBySide(modules, [len(own) for own in inputs])
    whole = to_onnx(together, [x for own in inputs for x in own], [n for own in names for n in own], outputs)
    return [
        cut(whole, {name: f"{INPUT}{i}" for i, name in enumerate(own)}, {output: "out"})
        for own, output in zip(names, outputs, strict=True)
    ]
