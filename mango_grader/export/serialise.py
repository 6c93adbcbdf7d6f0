"""The versions of ONNX that are written."""

import onnx

OPSET, IR_VERSION = 18, 10
"""What onnxruntime 1.20, the oldest that the runtime takes, can read."""


def serialise(graph: onnx.GraphProto, like: onnx.ModelProto) -> bytes:
    """Return a checked and serialised model.

    Args:
        graph: its only graph.
        like: model whose operations have the same versions.
    """
    model = onnx.helper.make_model(graph, opset_imports=like.opset_import, ir_version=IR_VERSION)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())
