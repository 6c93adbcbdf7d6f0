"""Whether the exported graphs answer as the network does, measured on every exit, staged and whole."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from mango_grader.errors import ExportError
from mango_grader.export.chain import BATCH, StageChain, full_logits
from mango_grader.export.onnx_graphs import Graphs, reference_copy
from mango_grader.models import AnytimeClassifier, FromBytes
from mango_grader.runtime.calibration.fitting import calibrated

TOLERANCE = 1e-4


@dataclass(frozen=True)
class Parity:
    """The largest difference in any calibrated probability, per exit from the first.

    Attributes:
        images: number of images compared.
        staged: (K,), stages against torch.
        full: (K,), the full graph against torch.
        staged_to_full: (K,), stages against the full graph.
    """

    images: int
    staged: tuple[float, ...]
    full: tuple[float, ...]
    staged_to_full: tuple[float, ...]


@dataclass(frozen=True)
class Agreement:
    """What quantisation changed, per exit from the first.

    Attributes:
        images: number of images compared.
        same_answer: (K,), share of images with the same answer, 0..1.
        largest_change: (K,), largest change of a probability, 0..1.
    """

    images: int
    same_answer: tuple[float, ...]
    largest_change: tuple[float, ...]


def check_parity(
    network: AnytimeClassifier, graphs: Graphs, images: NDArray[np.uint8], temperatures: Sequence[float]
) -> Parity:
    """Compare exported graphs with their network, in calibrated probabilities.

    Args:
        network: the reference.
        graphs: exported from it.
        images: uint8 (G, H, W, 3).
        temperatures: (K,), one per exit.

    Raises:
        ExportError: with the figures, where a probability differs by more than 1e-4 or is not finite.
    """
    logits = torch_logits(network, images), StageChain(graphs.stages).logits(images), full_logits(graphs.full, images)
    expected, staged, full = (calibrated(each, temperatures) for each in logits)
    parity = Parity(len(images), _largest(staged, expected), _largest(full, expected), _largest(staged, full))
    for what, found in (
        ("stages and torch", parity.staged),
        ("full graph and torch", parity.full),
        ("stages and full graph", parity.staged_to_full),
    ):
        _require(what, found)
    return parity


def check_heat(graphs: Graphs, images: NDArray[np.uint8], temperatures: Sequence[float]) -> None:
    """Compare each exit's answers with the means of its class maps, in calibrated probabilities.

    Args:
        graphs: of one network.
        images: uint8 (G, H, W, 3).
        temperatures: (K,), one per exit.

    Raises:
        ExportError: where a probability differs by more than 1e-4 or is not finite.
    """
    if not graphs.heat:
        return
    chain = StageChain(graphs.stages)
    means = np.stack([chain.maps(images, number, heat).mean(axis=(2, 3)) for number, heat in enumerate(graphs.heat)])
    found = _largest(calibrated(means, temperatures), calibrated(chain.logits(images), temperatures))
    _require("class maps and exits", found)


def quantised_agreement(
    stages: Sequence[bytes], int8: Sequence[bytes], images: NDArray[np.uint8], temperatures: Sequence[float]
) -> Agreement:
    """Compare int8 with fp32 stages, in calibrated probabilities.

    Args:
        stages: fp32, serialised.
        int8: the same stages in int8.
        images: uint8 (N, H, W, 3).
        temperatures: (K,), one per exit.
    """
    before, after = (calibrated(StageChain(each).logits(images), temperatures) for each in (stages, int8))
    same = (before.argmax(axis=2) == after.argmax(axis=2)).mean(axis=1)
    return Agreement(len(images), tuple(same.tolist()), _largest(before, after))


def torch_logits(network: AnytimeClassifier, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the logits (K, N, C) of the network's `reference_copy`.

    Args:
        network: with K exits.
        images: uint8 (N, H, W, 3).
    """
    network, from_bytes = reference_copy(network), FromBytes()
    with torch.inference_mode():
        batches = (torch.tensor(images[start : start + BATCH]) for start in range(0, len(images), BATCH))
        parts = [torch.stack(network(from_bytes(batch))) for batch in batches]
    return np.asarray(torch.cat(parts, dim=1).numpy())


def _require(what: str, differences: Sequence[float]) -> None:
    if not all(value <= TOLERANCE for value in differences):  # a NaN passes no comparison
        figures = ", ".join(f"exit {number}: {value:.2g}" for number, value in enumerate(differences, start=1))
        raise ExportError(f"{what} differ by more than {TOLERANCE:g} in probability ({figures})")


def _largest(first: NDArray[np.float32], second: NDArray[np.float32]) -> tuple[float, ...]:
    return tuple(np.abs(first - second).max(axis=(1, 2)).tolist())
