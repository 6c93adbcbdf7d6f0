"""Networks that serve as teachers: any ONNX classifier, or a torch network; images are fitted to the size of each."""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mango_grader.errors import BundleError, UsageError
from mango_grader.models import AnytimeClassifier, FromBytes
from mango_grader.runtime.images.decode import scaled
from mango_grader.runtime.images.preprocess import Preprocess
from mango_grader.runtime.inference.sessions import make_session, run_session
from mango_grader.training.device import Device

_FLOATS = {"tensor(float)": np.float32, "tensor(float16)": np.float16}
_FILL = Preprocess(1, 1).fill


class OnnxTeacher:
    """An ONNX classifier on the CPU: images, uint8 (N, H, W, 3), to its last output of two dimensions, float32 (N, K).

    Its one input is (N, 3, H, W) or (N, H, W, 3); uint8 is fed as it is, floats are standardised first.

    Args:
        graph: a path, or the graph's bytes.
        size: (height, width), where the graph leaves them open.
        mean: (3,), of pixel values in 0..1, by which floats are standardised.
        std: (3,), standard deviation likewise.

    Attributes:
        size: (height, width) of the images that it takes.

    Raises:
        UsageError: for a graph that is not such a classifier.
    """

    def __init__(self, graph: str | bytes, size: tuple[int, int], mean: Sequence[float], std: Sequence[float]) -> None:
        try:
            self._session = make_session(graph, "cpu", torch.get_num_threads())
        except BundleError as error:
            raise UsageError(str(error)) from error
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        flat = [index for index, output in enumerate(outputs) if len(output.shape) == 2]
        if len(inputs) != 1 or len(inputs[0].shape) != 4 or not flat:
            raise UsageError("not a classifier of one input (N, 3, H, W) or (N, H, W, 3) and an output (N, classes)")
        self._input, self._output = inputs[0], flat[-1]
        batch, *rest = self._input.shape
        self._channels_last = rest[-1] == 3 and rest[0] != 3
        height, width = rest[:2] if self._channels_last else rest[1:]
        if 3 not in (rest[0], rest[-1]) and any(isinstance(each, int) for each in (rest[0], rest[-1])):
            raise UsageError(f"its input {self._input.shape} does not have 3 channels")
        if self._input.type not in _FLOATS and self._input.type != "tensor(uint8)":
            raise UsageError(f"its input is {self._input.type}; only float, float16 and uint8 are supported")
        self.size = tuple(
            each if isinstance(each, int) else own for each, own in zip((height, width), size, strict=True)
        )
        self._batch = batch if isinstance(batch, int) and batch > 0 else None
        self._mean, self._std = (torch.tensor(values, dtype=torch.float32) * 255 for values in (mean, std))

    @torch.no_grad()
    def __call__(self, images: Tensor) -> Tensor:
        """Return its outputs, (N, K), on the CPU."""
        seen = fitted(images.cpu(), *self.size)
        if self._input.type in _FLOATS:
            seen = (seen.float() - self._mean) / self._std
        if not self._channels_last:
            seen = seen.permute(0, 3, 1, 2)
        values = seen.contiguous().numpy().astype(_FLOATS.get(self._input.type, np.uint8), copy=False)
        size = self._batch or len(values)
        parts = [self._run(values[start : start + size], size) for start in range(0, len(values), size)]
        return torch.from_numpy(np.concatenate(parts).astype(np.float32, copy=False))

    def _run(self, values: np.ndarray, size: int) -> np.ndarray:
        short = size - len(values)
        fed = np.concatenate([values, np.repeat(values[-1:], short, axis=0)]) if short else values
        answers: np.ndarray = run_session(self._session, {self._input.name: fed})[self._output]
        return answers[: len(values)]


class TorchTeacher:
    """The last exit of one of our networks: images, uint8 (N, H, W, 3), to logits, float32 (N, C), on its device.

    Args:
        net: trained.
        device: where it runs.
    """

    def __init__(self, net: AnytimeClassifier, device: Device) -> None:
        self._net, self._device = net.eval(), device
        device.place(net)
        self._from_bytes = device.place(FromBytes())

    @torch.no_grad()
    def __call__(self, images: Tensor) -> Tensor:
        """Return its logits, (N, C), on the device."""
        seen = fitted(self._device.send(images), *self._net.spec.input[1:])
        with self._device.autocast():
            answers: Tensor = self._net(self._from_bytes(seen))[-1]
        return answers.float()


def fitted(images: Tensor, height: int, width: int) -> Tensor:
    """Return images as (N, height, width, 3): aspect ratio kept, antialiased, the rest filled grey.

    Args:
        images: uint8 (N, H, W, 3).
        height: in pixels.
        width: in pixels.
    """
    if images.shape[1:3] == (height, width):
        return images
    wide, high = scaled(images.shape[2], images.shape[1], (width, height))
    planes = images.permute(0, 3, 1, 2).float()
    resized = F.interpolate(planes, (high, wide), mode="bilinear", antialias=True).round().clamp(0, 255)
    canvas = torch.tensor(_FILL, dtype=torch.uint8).to(images.device).expand(len(images), height, width, 3).clone()
    left, top = (width - wide) // 2, (height - high) // 2
    canvas[:, top : top + high, left : left + wide] = resized.to(torch.uint8).permute(0, 2, 3, 1)
    return canvas
