"""Runs stages one after another in onnxruntime, set up for a sorting line: one thread per session, no spinning."""

import contextlib
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self, get_args

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from mango_grader.errors import BundleError, MangoError, UsageError
from mango_grader.runtime.bundle.archive import Bundle
from mango_grader.runtime.bundle.manifest import Manifest
from mango_grader.runtime.exits import ExitPolicy, Reached
from mango_grader.runtime.inference.activations import check_activations
from mango_grader.runtime.inference.in_flight import InFlight
from mango_grader.text import one_line

Provider = Literal["auto", "cpu", "cuda"]
_CPU, _CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"
_SILENT = 4  # Errors included: they are raised, and must not be printed, too.
# Allocators and providers use the default logger, which the options of a session do not change. It is set at import
# and not at each session, so that an application may set it otherwise.
onnxruntime.set_default_logger_severity(_SILENT)
IMAGES, LOGITS = "images", "logits"
FEATURES = "features"
"""Output of a stage that heat maps alone need: what its exit takes the mean of, unless that is a state anyway."""
_FLOAT, _BYTE = "tensor(float)", "tensor(uint8)"


@dataclass(frozen=True)
class Answers:
    """The answers of a model to a batch.

    Attributes:
        history: (K, N, C) calibrated probabilities of every exit; NaN where an image stopped before the exit.
        exits: (N,) numbers of the exits where the images stopped, from 1.
        stage_ms: (K, N) milliseconds of every stage, each image's share of its batch; NaN where a stage did not run.
    """

    history: NDArray[np.float32]
    exits: NDArray[np.int64]
    stage_ms: NDArray[np.float64]

    @property
    def infer_ms(self) -> NDArray[np.float64]:
        """Milliseconds in all stages, (N,)."""
        total: NDArray[np.float64] = np.nansum(self.stage_ms, axis=0)
        return total


@dataclass(frozen=True)
class Port:
    """One input or output as a graph declares it.

    Attributes:
        name: of the tensor.
        kind: its type as onnxruntime spells it, such as "tensor(float)".
        shape: its sizes; None for those that are free.
    """

    name: str
    kind: str
    shape: tuple[int | None, ...]

    def takes(self, other: "Port") -> bool:
        """Return whether `other` fits this: the same kind and rank, a free batch size, no size that differs."""
        same_rank = len(self.shape) == len(other.shape) > 0 and self.shape[0] is None and other.shape[0] is None
        sizes = zip(self.shape, other.shape, strict=False)
        return self.kind == other.kind and same_rank and all(a is None or b is None or a == b for a, b in sizes)


@dataclass(frozen=True)
class _Stage:
    """One session, what it reads and gives, its exit's temperature, and its number of classes.

    `declared` are all outputs of the graph; `gives` those of every run, to which the one for heat maps does not belong.
    """

    session: Any
    reads: tuple[str, ...]
    gives: tuple[str, ...]
    declared: tuple[Port, ...]
    temperature: float
    classes: int

    def run(self, state: dict[str, Any], rows: int) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Return the exit's calibrated probabilities (rows, C) and what the next stage reads."""
        logits, state = self.logits(state, rows)
        return softmax(logits, self.temperature), state

    def logits(self, state: dict[str, Any], rows: int) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Return the exit's logits (rows, C) and what the next stage reads.

        Raises `BundleError` if the graph's answers have other shapes than it declares.
        """
        state = dict(zip(self.gives, self.tensors(state, self.gives), strict=True))
        logits = state.pop(LOGITS)
        if logits.shape != (rows, self.classes) or any(value.shape[:1] != (rows,) for value in state.values()):
            raise BundleError(f"a stage of the model answers {rows} images with {logits.shape} values")
        return logits, state

    def tensors(self, state: dict[str, Any], names: Sequence[str]) -> list[Any]:
        """Return the outputs of these names."""
        return run_session(self.session, {name: state[name] for name in self.reads}, names)


class StagedModel:
    """The chained stages of one precision; safe to use from several threads at once.

    Args:
        stages: in their order.
        classes: number of classes.
        precision: in which they compute, "fp32" or "int8".
    """

    def __init__(self, stages: tuple[_Stage, ...], classes: int, precision: str) -> None:
        self._stages, self._classes, self.precision = stages, classes, precision

    @classmethod
    def load(cls, bundle: Bundle, provider: str = "auto", precision: str = "fp32") -> Self:
        """Start one session per stage.

        Raises `UsageError` for a precision or provider that is not there, `BundleError` for graphs that do not take
        and give what the manifest says.
        """
        manifest = bundle.manifest
        if precision not in manifest.stages:
            raise UsageError(f"{bundle.path} has no {precision} stages, only {', '.join(manifest.stages)}")
        stages, known, count = [], {IMAGES: _images(manifest)}, len(manifest.classes)
        for name, info in zip(manifest.stages[precision], manifest.exits, strict=True):
            session, inputs, outputs = start_graph(bundle, name, provider)
            if not inputs or not all(port.name in known and known[port.name].takes(port) for port in inputs):
                raise BundleError(f"{bundle.path}: {name} does not follow what comes before it")
            if not all(port.kind.startswith("tensor(") for port in outputs):
                raise BundleError(f"{bundle.path}: {name} has an output that is not a tensor")
            known = {port.name: port for port in outputs}
            _check_logits(bundle, name, known.get(LOGITS))
            reads, gives = (tuple(port.name for port in ports) for ports in (inputs, outputs))
            gives = tuple(one for one in gives if one != FEATURES)
            stages.append(_Stage(session, reads, gives, outputs, info.temperature, count))
        return cls(tuple(stages), count, precision)

    @property
    def provider(self) -> str:
        """Device that it runs on, "cpu" or "cuda"."""
        return _where(self._stages[0].session)

    def run(self, images: NDArray[np.uint8], policy: ExitPolicy, started: float | None = None) -> Answers:
        """Grade a batch; after each stage, only the images go on that the exit policy does not stop.

        Args:
            images: (N, H, W, 3) uint8 RGB, preprocessed.
            policy: which images stop at which exit.
            started: seconds on the clock of `time.perf_counter` at which the first image was handed in; None is now.
        """
        count, last = len(images), len(self._stages) - 1
        started = time.perf_counter() if started is None else started
        history = np.full((len(self._stages), count, self._classes), np.nan, np.float32)
        exits, stage_ms = np.zeros(count, np.int64), np.full((len(self._stages), count), np.nan)
        rows: slice | NDArray[np.int64] = slice(None)  # Until one stops; numpy reaches all faster than each by number.
        state = {IMAGES: images}
        for index, stage in enumerate(self._stages):
            start = time.perf_counter()
            answer, state = stage.run(state, count)
            stage_ms[index, rows] = (time.perf_counter() - start) * 1e3 / count
            history[index, rows], exits[rows] = answer, index + 1
            if index == last:
                break
            settled = policy.settled(Reached(history[: index + 1, rows], started))
            stopping = int(np.count_nonzero(settled))
            if stopping == count:
                break
            if stopping:
                going = ~settled
                rows = np.flatnonzero(going) if isinstance(rows, slice) else rows[going]
                count, state = count - stopping, {name: value[going] for name, value in state.items()}
        return Answers(history, exits, stage_ms)

    def begin(self, images: NDArray[np.uint8]) -> InFlight:
        """Return `images` (N, H, W, 3), preprocessed, before the first stage."""
        return InFlight(0, {IMAGES: images})

    def advance(self, batch: InFlight) -> tuple[NDArray[np.float32], InFlight]:
        """Run the next stage alone; return the calibrated probabilities (N, C) of its exit, and the batch behind it.

        Args:
            batch: of `begin`, or of an earlier call; not yet through the last stage.
        """
        answer, state = self._stages[batch.stages].run(dict(batch.state), len(batch))
        return answer, InFlight(batch.stages + 1, state)

    def every_exit(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the calibrated probabilities (K, N, C) of all exits for `images` (N, H, W, 3)."""
        found, batch = [], self.begin(images)
        for _ in self._stages:
            answer, batch = self.advance(batch)
            found.append(answer)
        return np.stack(found)

    def every_logits(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the logits (K, N, C) of all exits, before the temperature, for `images` (N, H, W, 3)."""
        found, state = [], {IMAGES: images}
        for stage in self._stages:
            logits, state = stage.logits(state, len(images))
            found.append(logits)
        return np.stack(found)

    def output(self, number: int, name: str) -> Port | None:
        """Return an output of the stage of exit `number`, from 1; None if it has none of that name."""
        return next((port for port in self._stages[number - 1].declared if port.name == name), None)

    def tensor(self, images: NDArray[np.uint8], number: int, name: str) -> NDArray[np.float32]:
        """Return an output of one stage for images that run through all stages up to it.

        Args:
            images: (N, H, W, 3) uint8 RGB, preprocessed.
            number: of the stage's exit, from 1.
            name: of the output, see `output`.
        """
        state: dict[str, Any] = {IMAGES: images}
        for stage in self._stages[: number - 1]:
            state = stage.run(state, len(images))[1]
        return np.asarray(self._stages[number - 1].tensors(state, [name])[0])


class FullModel:
    """The graph with all exits, which other runtimes use; the stages must give the same answers.

    Args:
        bundle: of the model.
        provider: "auto", "cpu" or "cuda".
    """

    def __init__(self, bundle: Bundle, provider: str = "auto") -> None:
        """Start its session; raise as `StagedModel.load` does."""
        manifest = self._manifest = bundle.manifest
        self._session, inputs, outputs = start_graph(bundle, manifest.full, provider)
        if len(inputs) != 1 or inputs[0].name != IMAGES or not _images(manifest).takes(inputs[0]):
            raise BundleError(f"{bundle.path}: {manifest.full} does not take the images that its manifest describes")
        if [port.name for port in outputs] != [f"{LOGITS}{index}" for index in range(len(manifest.exits))]:
            raise BundleError(f"{bundle.path}: {manifest.full} does not have the exits that its manifest describes")
        for port in outputs:
            _check_logits(bundle, manifest.full, port)

    @property
    def provider(self) -> str:
        """Device that it runs on, "cpu" or "cuda"."""
        return _where(self._session)

    def every_exit(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the calibrated probabilities (K, N, C) of all exits for `images` (N, H, W, 3)."""
        logits = run_session(self._session, {IMAGES: images})
        wanted = len(images), len(self._manifest.classes)
        if wrong := [one.shape for one in logits if one.shape != wanted]:
            raise BundleError(f"the full graph answers {len(images)} images with {wrong[0]} values")
        temperatures = (info.temperature for info in self._manifest.exits)
        return np.stack([softmax(*each) for each in zip(logits, temperatures, strict=True)])


def make_session(graph: bytes | str, provider: str = "auto", threads: int = 1) -> Any:
    """Start onnxruntime on a graph.

    Args:
        graph: serialised, or the path of its file.
        provider: "cpu", "cuda", or "auto", which takes CUDA if it can be started.
        threads: number of threads within an operation.

    Raises:
        UsageError: if "cuda" is not available.
        BundleError: if onnxruntime cannot load the graph.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    options.add_session_config_entry("session.load_model_format", "ONNX")
    options.log_severity_level = _SILENT
    failed: Exception | None = None
    for providers in _providers(provider):
        try:
            # Its own fallback would print what it does.
            session = onnxruntime.InferenceSession(graph, options, providers=providers, enable_fallback=0)
        except Exception as error:  # onnxruntime raises its own types, which share no base but Exception.
            failed = error
            continue
        if provider == "cuda" and _where(session) != "cuda":  # The graph is sound, so CUDA is what failed.
            raise UsageError("onnxruntime could not start CUDA here; `mango-grader doctor` says what it finds")
        return session
    assert failed is not None
    raise BundleError(f"onnxruntime cannot load a graph: {_line(failed)}") from failed


def run_session(session: Any, feed: dict[str, Any], outputs: Sequence[str] | None = None) -> list[Any]:
    """Return outputs of a session.

    Args:
        session: of `make_session`.
        feed: arrays by the names of the inputs.
        outputs: their names; None is all of them.

    Raises:
        MangoError: if onnxruntime fails.
    """
    try:
        return list(session.run(outputs, feed))
    except Exception as error:  # As above.
        raise MangoError(f"onnxruntime failed: {_line(error)}") from error


def softmax(logits: NDArray[np.float32], temperature: float = 1.0) -> NDArray[np.float32]:
    """Return the softmax of logits / `temperature` over the last axis; NaN where a logit is not finite.

    Args:
        logits: (…, C).
        temperature: above 0.
    """
    with np.errstate(invalid="ignore", over="ignore"):  # NaN is the answer; a warning would add nothing.
        # In place, and without the functions that numpy wraps around reductions: an early exit takes microseconds.
        values = np.divide(logits, np.float32(temperature))
        np.subtract(values, np.maximum.reduce(values, axis=-1, keepdims=True), out=values)
        np.exp(values, out=values)
        np.divide(values, np.add.reduce(values, axis=-1, keepdims=True), out=values)
        return np.asarray(values, np.float32)


def start_graph(bundle: Bundle, name: str, provider: str) -> tuple[Any, tuple[Port, ...], tuple[Port, ...]]:
    """Return a session of one graph of a bundle, and the inputs and outputs that it declares.

    Args:
        bundle: of the model.
        name: of the part.
        provider: "auto", "cpu" or "cuda".

    Raises:
        BundleError: if the graph is damaged, or onnxruntime cannot load it.
    """
    graph = bundle.graph(name)
    try:
        check_activations(graph)
        session = make_session(graph, provider)
        return session, _ports(session.get_inputs()), _ports(session.get_outputs())
    except BundleError as error:
        raise BundleError(f"{bundle.path}: {name}: {error}") from error
    except UnicodeDecodeError as error:
        raise BundleError(f"{bundle.path}: {name}: a name in its graph is not UTF-8") from error


def _ports(declared: list[Any]) -> tuple[Port, ...]:
    return tuple(
        Port(one.name, one.type, tuple(size if isinstance(size, int) else None for size in one.shape))
        for one in declared
    )


def _images(manifest: Manifest) -> Port:
    return Port(IMAGES, _BYTE, (None, manifest.preprocess.height, manifest.preprocess.width, 3))


def _check_logits(bundle: Bundle, name: str, port: Port | None) -> None:
    classes = len(bundle.manifest.classes)
    if port is None or port.kind != _FLOAT or port.shape != (None, classes):
        raise BundleError(f"{bundle.path}: {name} does not answer with one number for each of {classes} classes")


def _where(session: Any) -> str:
    return "cuda" if session.get_providers()[0] == _CUDA else "cpu"


def _providers(provider: str) -> list[list[Any]]:
    """Return which providers to try, one list after the other."""
    if provider not in get_args(Provider):
        raise UsageError(f"provider {provider!r}: use auto, cpu or cuda")
    has_cuda = _CUDA in onnxruntime.get_available_providers()
    if provider == "cuda" and not has_cuda:
        raise UsageError(
            "this onnxruntime has no CUDA; run: pip uninstall onnxruntime && pip install 'onnxruntime-gpu[cuda,cudnn]'"
        )
    if provider == "cpu" or not has_cuda:
        return [[_CPU]]
    if hasattr(onnxruntime, "preload_dlls"):  # Since 1.21: finds CUDA and cuDNN where pip put them.
        with contextlib.redirect_stdout(sys.stderr):
            onnxruntime.preload_dlls()
    cuda = [(_CUDA, {"use_tf32": "0"}), _CPU]  # TensorFloat-32 would miss the golden answers.
    return [cuda, [_CPU]]


def _line(error: Exception) -> str:
    return one_line(" ".join(str(error).split()))[:300]
