"""Runs serialised stages one after another, for every image to the last exit, as calibration and parity checks need."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mango_grader.datasets.shards import SomeImages
from mango_grader.export.onnx_graphs import IMAGES, LOGITS
from mango_grader.runtime.inference.sessions import FEATURES, make_session, run_session

BATCH = 32

Feed = dict[str, NDArray[np.generic]]


class StageChain:
    """Runs stages on one thread of the processor, as the runtime does.

    Args:
        stages: serialised ONNX graphs, in order.
    """

    def __init__(self, stages: Sequence[bytes]) -> None:
        self._sessions = [make_session(stage, "cpu") for stage in stages]

    def feeds(self, images: NDArray[np.uint8] | SomeImages, stage: int) -> Iterator[Feed]:
        """Yield, batch by batch, what a stage reads.

        Args:
            images: uint8 (N, H, W, 3).
            stage: index of the stage, from 0.
        """
        for start in range(0, len(images), BATCH):
            feed: Feed = {IMAGES: images[start : start + BATCH]}
            for session in self._sessions[:stage]:
                feed = _run(session, feed)[1]
            yield feed

    def logits(self, images: NDArray[np.uint8] | SomeImages) -> NDArray[np.float32]:
        """Return every exit's logits (K, N, C).

        Args:
            images: uint8 (N, H, W, 3).
        """
        return np.concatenate([self._batch(feed) for feed in self.feeds(images, 0)], axis=1)

    def maps(self, images: NDArray[np.uint8], stage: int, heat: bytes) -> NDArray[np.float32]:
        """Return the class maps (N, C, h, w) of one exit.

        Args:
            images: uint8 (N, H, W, 3).
            stage: index of the exit's stage, from 0.
            heat: serialised graph of the maps.
        """
        session = make_session(heat, "cpu")
        (name,) = [taken.name for taken in session.get_inputs()]
        features = (run_session(self._sessions[stage], feed, [name])[0] for feed in self.feeds(images, stage))
        return np.concatenate([run_session(session, {name: each})[0] for each in features])

    def _batch(self, feed: Feed) -> NDArray[np.float32]:
        found = []
        for session in self._sessions:
            logits, feed = _run(session, feed)
            found.append(logits)
        return np.stack(found)


def full_logits(graph: bytes, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the logits (K, N, C) of the graph with all exits.

    Args:
        graph: serialised ONNX.
        images: uint8 (N, H, W, 3).
    """
    session = make_session(graph, "cpu")
    batches = (images[start : start + BATCH] for start in range(0, len(images), BATCH))
    return np.concatenate([np.stack(run_session(session, {IMAGES: batch})) for batch in batches], axis=1)


def _run(session: Any, feed: Feed) -> tuple[NDArray[np.float32], Feed]:
    names = [output.name for output in session.get_outputs() if output.name != FEATURES]
    values = dict(zip(names, run_session(session, feed, names), strict=True))
    return values.pop(LOGITS), values
