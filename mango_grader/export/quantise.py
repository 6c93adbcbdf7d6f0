"""Each stage in int8, calibrated on training images."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

from mango_grader.errors import ExportError
from mango_grader.export.chain import Feed, StageChain
from mango_grader.export.serialise import IR_VERSION

# What carries the cost, and what lies between: a node left out would cost a step to float and back.
_QUANTISED = ["Conv", "Relu", "Clip", "Add", "Concat", "AveragePool", "MaxPool"]


def quantise_stages(stages: Sequence[bytes], images: NDArray[np.uint8]) -> tuple[bytes, ...]:
    """Return int8 versions of stages: same inputs, outputs and dtypes.

    Static quantisation with QDQ nodes: 8-bit activations, 7-bit weights per channel (8 bits would overflow the 16-bit
    sums of processors without VNNI, so that answers would depend on the machine). Ranges are the least and greatest
    values seen on the images, each stage fed by the fp32 stages before it. The classifiers stay in float. int8 is
    smaller, but not always faster: a narrow 12-layer net at 128 px took 2.2 ms an image in int8 and 1.4 ms in fp32 on
    one thread of an AMD EPYC (onnxruntime 1.31), so measure it where it will run.

    Args:
        stages: fp32, serialised, in order.
        images: uint8 (N, H, W, 3), of the training part.

    Raises:
        ExportError: where onnxruntime cannot quantise a stage.
    """
    chain = StageChain(stages)
    return tuple(_quantise(stage, chain.feeds(images, index)) for index, stage in enumerate(stages))


class _Feeds(CalibrationDataReader):  # type: ignore[misc]  # onnxruntime carries no types
    def __init__(self, feeds: Iterator[Feed]) -> None:
        self._feeds = feeds

    def get_next(self) -> Feed | None:
        return next(self._feeds, None)


def _quantise(stage: bytes, feeds: Iterator[Feed]) -> bytes:
    with TemporaryDirectory(prefix="mango-int8-") as folder, _quiet():
        before, after = Path(folder, "fp32.onnx"), Path(folder, "int8.onnx")
        before.write_bytes(stage)
        try:
            quantize_static(
                before,
                after,
                _Feeds(feeds),
                quant_format=QuantFormat.QDQ,
                op_types_to_quantize=_QUANTISED,
                per_channel=True,
                reduce_range=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
            )
        except Exception as error:  # onnxruntime raises many kinds
            raise ExportError(f"onnxruntime cannot quantise a stage: {' '.join(str(error).split())[:300]}") from error
        model = onnx.load(after)
    model.ir_version = min(model.ir_version, IR_VERSION)
    return bytes(model.SerializeToString())


@contextmanager
def _quiet() -> Iterator[None]:
    """Hold back the root logger: the quantiser gives it advice about preprocessing that the exporter has done."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)
