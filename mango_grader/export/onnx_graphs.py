"""From a torch network to ONNX: one graph with every exit, and the same graph cut into one stage per exit."""

import copy
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import onnx
import torch
from torch import Tensor, nn

from mango_grader.errors import ExportError
from mango_grader.export.heat_graphs import find_head, heat_graph
from mango_grader.export.serialise import OPSET, serialise
from mango_grader.models import AnytimeClassifier, FromBytes
from mango_grader.models.spec import IMAGE
from mango_grader.runtime.inference.sessions import FEATURES

IMAGES, LOGITS = "images", "logits"

_Proto = TypeVar("_Proto", onnx.NodeProto, onnx.TensorProto)


@dataclass(frozen=True)
class Graphs:
    """Serialised ONNX graphs of one network.

    Attributes:
        stages: one graph per exit, in order.
        full: one graph with every exit: its outputs are logits0, logits1, …
        heat: one graph per exit, in order, from an output of its stage to its class maps; none where the classifier of
            an exit has no such maps.
    """

    stages: tuple[bytes, ...]
    full: bytes
    heat: tuple[bytes, ...] = ()


def export_graphs(network: AnytimeClassifier) -> Graphs:
    """Export a network in evaluation mode, in float32, with BatchNorm folded into the convolutions.

    Stage 0 and the full graph take "images", uint8 (N, H, W, 3) with N free. A stage gives "logits" (N, C) and then
    what later stages need as "state0", "state1", …, numbered on through the chain: no graph has one name on both of its
    sides. What the exit takes the mean of over positions is one of these, or one more, "features": onnxruntime computes
    it anyway, and it costs nothing unless it is asked for.

    Args:
        network: trained; it is not changed.

    Raises:
        ExportError: where torch cannot express the network in ONNX.
    """
    spec = network.spec
    _, height, width = spec.input
    images = torch.zeros(2, height, width, 3, dtype=torch.uint8)  # a batch of one would be taken for a constant
    # Torch traces the network once, in a second or two; the stages are cut from that one graph.
    carried = tuple(dict.fromkeys(name for names in spec.carried for name in names))
    carried_as = {name: f"feature{number}" for number, name in enumerate(carried)}
    logits = [f"{LOGITS}{index}" for index in range(len(spec.exits))]
    whole = to_onnx(_WithState(reference_copy(network), carried), images, [IMAGES], [*logits, *carried_as.values()])
    heads = [head for answer in logits if (head := find_head(whole, answer)) is not None]
    if len(heads) < len(logits):
        heads = []
    stages, heat, inputs, states = [], list[bytes](), {IMAGES: IMAGES}, 0
    for index, (answer, names) in enumerate(zip(logits, (*spec.carried, ()), strict=True)):
        state = {carried_as[name]: f"state{number}" for number, name in enumerate(names, start=states)}
        outputs = {answer: LOGITS, **state}
        if heads:
            pooled = outputs.setdefault(heads[index].features, FEATURES)
            heat.append(heat_graph(whole, heads[index], pooled))
        stages.append(cut(whole, inputs, outputs))
        inputs, states = state, states + len(state)
    return Graphs(tuple(stages), cut(whole, {IMAGES: IMAGES}, {name: name for name in logits}), tuple(heat))


def reference_copy(network: AnytimeClassifier) -> AnytimeClassifier:
    """Return a copy on the processor, in float32 and evaluation mode: what every export is compared with."""
    copied = copy.deepcopy(network).to(torch.device("cpu"), torch.float32)
    return copied.to(memory_format=torch.contiguous_format).eval()


class _WithState(nn.Module):
    """uint8 images (N, H, W, 3) → every exit's logits, then the outputs of the `carried` nodes."""

    def __init__(self, network: AnytimeClassifier, carried: tuple[str, ...]) -> None:
        super().__init__()
        self.from_bytes, self.network, self.carried = FromBytes(), network, carried

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Run the stages in their order."""
        values = {IMAGE: self.from_bytes(images)}
        logits = []
        for stage in self.network.stages:
            answer, *state = stage(*(values[name] for name in stage.takes))
            values |= dict(zip(stage.gives, state, strict=True))
            logits.append(answer)
        return *logits, *(values[name] for name in self.carried)


def to_onnx(
    module: nn.Module, argument: Tensor | list[Tensor], inputs: Sequence[str], outputs: Sequence[str]
) -> onnx.ModelProto:
    """Export a module; the first axis of each of its inputs is free.

    Args:
        module: takes one tensor, or one list of them.
        argument: an example of what it takes.
        inputs: names of the tensors that it takes.
        outputs: names of those that it returns.

    Raises:
        ExportError: where torch cannot express the module in ONNX.
    """
    free = {0: torch.export.Dim.DYNAMIC}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # they speak of torch's own insides, to no use here
            program = torch.onnx.export(
                module.eval(),
                (argument,),
                input_names=list(inputs),
                output_names=list(outputs),
                dynamic_shapes=([free] * len(argument) if isinstance(argument, list) else free,),
                opset_version=OPSET,
                dynamo=True,
                verbose=False,
            )
    except Exception as error:  # the exporter raises many kinds
        reason = " ".join(str(error).split())[:300]
        raise ExportError(f"torch {torch.__version__} cannot export this network to ONNX: {reason}") from error
    assert program is not None
    model: onnx.ModelProto = program.model_proto
    if (found := [value.name for value in model.graph.output]) != list(outputs):
        raise ExportError(f"torch {torch.__version__} exported the outputs {found} instead of {list(outputs)}")
    return model


def cut(whole: onnx.ModelProto, inputs: Mapping[str, str], outputs: Mapping[str, str]) -> bytes:
    """Return the part of a graph that computes some of its values from others, checked and serialised.

    The exporter's notes, which hold paths of this machine, are left out.

    Args:
        whole: the graph.
        inputs: name in `whole` → name in the part.
        outputs: name in `whole` → name in the part.
    """
    nodes: list[onnx.NodeProto] = []
    needed = set(outputs) - set(inputs)
    for node in reversed(whole.graph.node):
        if needed & set(node.output):
            nodes.append(_bare(node))
            needed |= set(node.input) - set(inputs)
    nodes.reverse()
    names = {**outputs, **inputs}
    for node in nodes:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
    handed_on = [name for name in outputs if name in inputs]
    nodes += [onnx.helper.make_node("Identity", [inputs[name]], [outputs[name]]) for name in handed_on]
    types = {value.name: value.type for value in (*whole.graph.input, *whole.graph.value_info, *whole.graph.output)}
    graph = onnx.helper.make_graph(
        nodes,
        "mango-grader",
        [onnx.helper.make_value_info(new, types[name]) for name, new in inputs.items()],
        [onnx.helper.make_value_info(new, types[name]) for name, new in outputs.items()],
        [_bare(value) for value in whole.graph.initializer if value.name in needed],
    )
    return serialise(graph, whole)


def _bare(proto: _Proto) -> _Proto:
    """Return a copy without documentation and metadata."""
    copied = copy.deepcopy(proto)
    copied.doc_string = ""
    del copied.metadata_props[:]
    return copied
