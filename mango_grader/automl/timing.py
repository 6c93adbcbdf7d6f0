"""How long chains of ONNX graphs take on this host: one image, one thread, as the runtime runs them."""

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mango_grader.export.onnx_graphs import LOGITS
from mango_grader.runtime.inference.sessions import make_session, run_session

_ROUNDS = 15
_BURST_S = 0.01  # of each chain in each round
_RUNS = 3  # at least, in each round


class Chain:
    """Serialised graphs that follow one another; a graph's outputs, but for logits, are the next one's inputs."""

    def __init__(self, graphs: Sequence[bytes], feed: dict[str, Any]) -> None:
        sessions = [make_session(graph, "cpu") for graph in graphs]
        self._stages = [(session, [output.name for output in session.get_outputs()]) for session in sessions]
        self._feed = feed

    def run(self) -> list[float]:
        """Return the milliseconds up to the end of each graph.

        It is the thread's own time, so that whoever else uses the processor does not count; it computes alone and
        never waits, so that on an idle processor it is the time that passes.
        """
        state, passed = self._feed, []
        start = time.thread_time()
        for session, names in self._stages:
            state = dict(zip(names, run_session(session, state), strict=True))
            state.pop(LOGITS, None)
            passed.append((time.thread_time() - start) * 1e3)
        return passed


def chain_times(chains: Sequence[Chain]) -> list[NDArray[np.float64]]:
    """Return each chain's milliseconds up to and including each of its graphs: the least of the medians of 15 rounds.

    In a round every chain has its turn, so that a moment in which others slow the processor down touches few of a
    chain's medians, and hardly the least.
    """
    rounds = [[_median(chain) for chain in chains] for _ in range(_ROUNDS)]
    return [np.min(medians, axis=0) for medians in zip(*rounds, strict=True)]


def _median(chain: Chain) -> NDArray[np.float64]:
    chain.run()  # its data come into the caches
    runs: list[list[float]] = []
    end = time.thread_time() + _BURST_S
    while len(runs) < _RUNS or time.thread_time() < end:
        runs.append(chain.run())
    return np.asarray(np.median(runs, axis=0), np.float64)
