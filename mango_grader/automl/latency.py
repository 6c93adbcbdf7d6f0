"""Measured latency as a cost: a table of what each operation takes on this host, and how well its sums predict.

ProxylessNAS (Cai et al. 2019, §3.2) and BetaNAS (§3.3) take such tables for the latency of a target device.
"""

import json
import platform
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from scipy.stats import kendalltau

from mango_grader.automl.architecture import Architecture
from mango_grader.automl.cost import GraphCost, by_exit
from mango_grader.automl.graph import SUM, Choice
from mango_grader.automl.search_space import SearchSpace
from mango_grader.cores import cpu_name
from mango_grader.export.onnx_graphs import IMAGES, LOGITS, export_graphs
from mango_grader.export.operations import INPUT, copy_graph, export_from_bytes, export_operations
from mango_grader.files import digest, read_json, user_cache, write_json
from mango_grader.models import NetworkSpec, build_network
from mango_grader.models.operations import Operation, Shape
from mango_grader.progress import Progress, SilentProgress
from mango_grader.runtime.inference.sessions import FEATURES, make_session, run_session

_AT_ONCE = 16  # operations that are exported together
_FITTED_ON = 3  # whole networks that the factor is fitted on
_CALL = "call"
_ROUNDS = 15
_BURST_S = 0.01  # of each chain in each round
_RUNS = 3  # at least, in each round

Place = tuple[Operation, tuple[Shape, ...]]


def host() -> dict[str, str | int]:
    """Return what a latency depends on: the processor, onnxruntime and its threads."""
    return {
        "cpu": cpu_name(),
        "machine": platform.machine(),
        "onnxruntime": onnxruntime.__version__,
        "threads": 1,
    }


def default_path() -> Path:
    """Return this host's table in the user's cache folder."""
    return user_cache() / f"latency-{digest(json.dumps(host()).encode())[:12]}.json"


class LatencyTable:
    """Milliseconds on this host for one image, measured when first asked for and kept in a file.

    An operation's time is that of a session with nothing else in it, less that of a session that only copies the
    input, on one thread without spinning. Sums of such times leave out what operations side by side cost or spare one
    another (caches, fusion, memory layouts), so one factor, fitted on a few whole networks, scales all of them (our
    reading). What was measured once is never measured anew, so that a resumed run sees the same prices; a file that
    cannot be read, or is of another host, counts as none.

    Args:
        path: of the file; None for this host's in the user's cache folder.
        progress: where to report what takes longer than a moment.
    """

    def __init__(self, path: Path | None = None, progress: Progress | None = None) -> None:
        self._path, self._progress = path or default_path(), progress or SilentProgress()
        self._factor: float | None = None
        self._times: dict[str, float] = {}  # by operation
        self._networks: dict[str, list[float]] = {}  # by digest: up to and including each exit
        self._read()

    def price(self, op: Operation, inputs: Sequence[Shape]) -> float:
        """Return what an operation adds to a network's latency.

        Args:
            op: the operation.
            inputs: shapes (channels, height, width) of what it reads.

        Returns:
            Milliseconds, 0 or more.
        """
        place = (op, tuple(inputs))
        self.measure([place])
        return 0.0 if _free(place) else self._times[_key(place)] * (self._factor or 1.0)

    def measure(self, places: Iterable[Place]) -> None:
        """Measure those operations that the table lacks, many at a time, which is several times as fast as singly."""
        missing = [p for p in dict.fromkeys(places) if not _free(p) and _key(p) not in self._times]
        progress = self._progress if len(missing) > _AT_ONCE else SilentProgress()  # a handful takes a moment
        with progress.task("latency", len(missing)) as task:
            for start in range(0, len(missing), _AT_ONCE):
                chunk = missing[start : start + _AT_ONCE]
                copies = [Chain([copy_graph(shapes[0])], _feed(shapes[:1])) for _, shapes in chunk]
                graphs = export_operations(chunk)
                alone = [Chain([graph], _feed(shapes)) for graph, (_, shapes) in zip(graphs, chunk, strict=True)]
                times = [float(each[-1]) for each in chain_times([*alone, *copies])]
                for place, took, copy in zip(chunk, times, times[len(chunk) :], strict=False):
                    self._times[_key(place)] = max(0.0, took - copy)
                self._write()
                task.advance(len(chunk))

    def base(self, height: int, width: int, exits: int) -> NDArray[np.float64]:
        """Return what a run costs beside its operations: the image's conversion, and a call per stage.

        Args:
            height: of the image in pixels.
            width: of the image in pixels.
            exits: how many stages there are.

        Returns:
            Milliseconds up to each exit, (exits,).
        """
        conversion = f"image {height}x{width}"
        if conversion not in self._times:
            image = {f"{INPUT}0": _image(height, width)}
            shape = (1, 1, 1)
            chains = [Chain([export_from_bytes(height, width)], image), Chain([copy_graph(shape)], _feed([shape]))]
            self._times[conversion], call = (float(each[-1]) for each in chain_times(chains))
            self._times.setdefault(_CALL, call)
            self._write()
        return self._times[conversion] + self._times[_CALL] * np.arange(exits, dtype=np.float64)

    def predict(self, spec: NetworkSpec) -> NDArray[np.float64]:
        """Return the network's predicted latency up to and including each exit, (exits,)."""
        self.measure((n.op, tuple(spec.shapes[name] for name in n.inputs)) for n in spec.nodes)
        return by_exit(spec, self.price) + self.base(*spec.input[1:], exits=len(spec.exits))

    def measured(self, specs: Sequence[NetworkSpec]) -> list[NDArray[np.float64]]:
        """Return the latency of whole networks, exported and run stage by stage, up to each exit, (exits,) each."""
        names = [digest(json.dumps(spec.to_dict()).encode()) for spec in specs]
        missing = {name: spec for name, spec in zip(names, specs, strict=True) if name not in self._networks}
        if missing:
            chains = []
            with self._progress.task("latency: networks", len(missing)) as task:
                for spec in missing.values():
                    with torch.random.fork_rng(devices=[]):  # a search in progress draws from the global generator
                        stages = export_graphs(build_network(spec)).stages
                    chains.append(Chain(stages, {IMAGES: _image(*spec.input[1:])}))
                    task.advance()
            for name, times in zip(missing, chain_times(chains), strict=True):  # in turn, so that they compare
                self._networks[name] = [float(each) for each in times]
            self._write()
        return [np.array(self._networks[name]) for name in names]

    def fit(self, specs: Sequence[NetworkSpec]) -> None:
        """Fit the factor on whole networks: the median of what their last exits take over what the sums say."""
        self._factor = None
        ratios = []
        for spec, measured in zip(specs, self.measured(specs), strict=True):
            base = self.base(*spec.input[1:], exits=len(spec.exits))
            ratios.append((measured - base)[-1] / (self.predict(spec) - base)[-1])
        self._factor = float(np.clip(np.median(ratios), 0.1, 10.0))
        self._write()

    @property
    def fitted(self) -> bool:
        """Whether the factor stands."""
        return self._factor is not None

    def _read(self) -> None:
        try:
            found = read_json(self._path)
            if found["host"] != host():
                return
            times = {str(name): _checked(each) for name, each in found["times"].items()}
            networks = {str(name): [_checked(each) for each in row] for name, row in found["networks"].items()}
            factor = None if found["factor"] is None else _checked(found["factor"])
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return
        self._times, self._networks = times | self._times, networks | self._networks
        self._factor = self._factor or factor

    def _write(self) -> None:
        self._read()  # what another process has measured meanwhile is kept
        rows = {"factor": self._factor, "times": self._times, "networks": self._networks}
        write_json(self._path, {"host": host(), **rows})


def latency(space: SearchSpace, table: LatencyTable) -> GraphCost:
    """Price a space in milliseconds for one image on this host; measures what the table lacks, up to a minute.

    Args:
        space: whose architectures are to be priced.
        table: what has been measured.
    """
    table.measure(places(space))
    if not table.fitted:
        rng = np.random.default_rng(0)
        table.fit([space.derive(space.sample(rng)) for _ in range(_FITTED_ON)])
    config = space.config
    return GraphCost(space, "ms", table.price, table.base(config.height, config.width, len(space.graph.exits)))


def predicted_latency(space: SearchSpace, table: LatencyTable) -> Callable[[NetworkSpec], float]:
    """Return a function from a network of a space to its predicted milliseconds, up to its last exit.

    When it is first called, it measures what the table lacks of the operations of the space, up to a minute.

    Args:
        space: that the networks are of.
        table: what has been measured.
    """
    measure_all = cache(lambda: latency(space.final, table))

    def predict(spec: NetworkSpec) -> float:
        measure_all()
        return float(table.predict(spec)[-1])

    return predict


def places(space: SearchSpace) -> Iterator[Place]:
    """Yield every operation that a network of the space can hold, with its inputs' shapes; some more than once."""
    shapes, most = space.graph.shapes, {decision.name: decision.max_chosen for decision in space.decisions}
    for node in space.graph.nodes:
        if isinstance(node, Choice):
            for branch in node.branches:
                if branch.op is not None:
                    yield branch.op, tuple(shapes[name] for name in branch.inputs)
            for count in range(2, min(most[node.decision], len(node.branches)) + 1):
                yield SUM, (shapes[node.name],) * count
        elif node.op.optional_inputs:  # inputs that an architecture leaves out are not added
            for count in range(1, len(node.inputs) + 1):
                yield node.op, (shapes[node.name],) * count
        else:
            yield node.op, tuple(shapes[name] for name in node.inputs)


@dataclass(frozen=True)
class Comparison:
    """Predicted and measured latency of whole networks.

    Attributes:
        predicted: in milliseconds, (networks, exits).
        measured: in milliseconds, (networks, exits).
    """

    predicted: NDArray[np.float64]
    measured: NDArray[np.float64]

    def kendall_tau(self) -> list[float]:
        """Return Kendall's rank correlation by exit, in [-1, 1]; nan for fewer than two networks."""
        pairs = zip(self.predicted.T, self.measured.T, strict=True)
        return [float(kendalltau(predicted, measured).statistic) for predicted, measured in pairs]

    def median_error(self) -> list[float]:
        """Return the median of |predicted − measured| / measured by exit."""
        return [float(each) for each in np.median(np.abs(self.predicted / self.measured - 1), axis=0)]


def compare(architectures: Sequence[Architecture], table: LatencyTable) -> Comparison:
    """Predict and measure networks up to each exit.

    Args:
        architectures: of the networks, which have equally many exits.
        table: what has been measured.
    """
    specs = [SearchSpace(each.space).derive(each) for each in architectures]
    predicted = [table.predict(spec) for spec in specs]
    return Comparison(np.array(predicted), np.array(table.measured(specs)))


def _free(place: Place) -> bool:
    op, inputs = place
    return op.free(inputs)


@cache
def _key(place: Place) -> str:
    op, inputs = place
    return json.dumps([op.to_dict(), inputs])


def _checked(time: float) -> float:
    if not 0 <= float(time) < float("inf"):
        raise ValueError(f"{time} is no duration")
    return float(time)


def _feed(shapes: Sequence[Shape]) -> dict[str, NDArray[np.float32]]:
    rng = np.random.default_rng(0)
    return {f"{INPUT}{i}": rng.standard_normal((1, *shape), np.float32) for i, shape in enumerate(shapes)}


def _image(height: int, width: int) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (1, height, width, 3), np.uint8)


class Chain:
    """Serialised graphs that follow one another; a graph's outputs, logits and features aside, are the next's inputs.

    Args:
        graphs: in order.
        feed: the first one's inputs, by name.
    """

    def __init__(self, graphs: Sequence[bytes], feed: dict[str, Any]) -> None:
        sessions = [make_session(graph, "cpu") for graph in graphs]
        self._stages = [
            (session, [output.name for output in session.get_outputs() if output.name != FEATURES])
            for session in sessions
        ]
        self._feed = feed

    def run(self) -> list[float]:
        """Return the milliseconds up to the end of each graph.

        They are the thread's own time, so that other users of the processor do not count. The thread computes alone and
        never waits, so that on an idle processor it is the time that passes.
        """
        state, passed = self._feed, []
        start = time.thread_time()
        for session, names in self._stages:
            state = dict(zip(names, run_session(session, state, names), strict=True))
            state.pop(LOGITS, None)
            passed.append((time.thread_time() - start) * 1e3)
        return passed


def chain_times(chains: Sequence[Chain]) -> list[NDArray[np.float64]]:
    """Return each chain's milliseconds up to the end of each of its graphs: the least of the medians of 15 rounds.

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
