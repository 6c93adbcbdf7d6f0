"""onnxruntime, set up for a sorting line: one thread a session, no spinning, stages run one after another."""

import contextlib
import sys
import time
from dataclasses import dataclass
from typing import Any, Literal, Self, get_args

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from mango_grader.errors import BundleError, MangoError, UsageError
from mango_grader.runtime.bundle import Bundle
from mango_grader.runtime.policy import Policy

Provider = Literal["auto", "cpu", "cuda"]
_CPU, _CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"


@dataclass(frozen=True)
class Answers:
    """What a staged run gave: `probabilities` (N, C), `exits` (N,) from 1, `infer_ms` (N,) each row's own share."""

    probabilities: NDArray[np.float32]
    exits: NDArray[np.int64]
    infer_ms: NDArray[np.float64]


@dataclass(frozen=True)
class _Stage:
    """One session, its input and output names, and its exit's temperature."""

    session: Any
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    temperature: float

    def run(self, state: dict[str, Any]) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Return the exit's calibrated probabilities (N, C) and what the next stage reads."""
        values = run_session(self.session, {name: state[name] for name in self.inputs})
        state = dict(zip(self.outputs, values, strict=True))
        return softmax(state.pop("logits") / self.temperature), state


class StagedModel:
    """The chained stages of one precision. Safe to use from several threads at once: a run keeps no state."""

    def __init__(self, stages: tuple[_Stage, ...], classes: int) -> None:
        self._stages, self._classes = stages, classes

    @classmethod
    def load(cls, bundle: Bundle, provider: str = "auto", precision: str = "fp32") -> Self:
        """Start one session per stage; raise `UsageError` for a precision or provider that is not there."""
        manifest = bundle.manifest
        if precision not in manifest.stages:
            raise UsageError(f"{bundle.path} has no {precision} stages, only {', '.join(manifest.stages)}")
        stages, known = [], {"images"}
        for name, info in zip(manifest.stages[precision], manifest.exits, strict=True):
            session = make_session(bundle.read(name), provider)
            inputs = tuple(one.name for one in session.get_inputs())
            outputs = tuple(one.name for one in session.get_outputs())
            if not known.issuperset(inputs) or "logits" not in outputs:
                raise BundleError(f"{bundle.path}: {name} does not follow the stage before it")
            known = set(outputs)
            stages.append(_Stage(session, inputs, outputs, info.temperature))
        return cls(tuple(stages), len(manifest.classes))

    @property
    def provider(self) -> str:
        """Where it runs: "cpu" or "cuda"."""
        return "cuda" if self._stages[0].session.get_providers()[0] == _CUDA else "cpu"

    def run(self, images: NDArray[np.uint8], policy: Policy) -> Answers:
        """Grade `images` (N, H, W, 3); after each stage only the rows that `policy` leaves unsettled go on."""
        count, last = len(images), len(self._stages) - 1
        probabilities = np.zeros((count, self._classes), np.float32)
        exits, infer_ms = np.zeros(count, np.int64), np.zeros(count)
        rows, state = np.arange(count), {"images": images}
        for index, stage in enumerate(self._stages):
            start = time.perf_counter()
            answer, state = stage.run(state)
            infer_ms[rows] += (time.perf_counter() - start) * 1e3 / len(rows)
            settled = np.ones(len(rows), np.bool_) if index == last else policy.settled(index, answer)
            probabilities[rows[settled]], exits[rows[settled]] = answer[settled], index + 1
            if settled.all():
                break
            if settled.any():
                rows, state = rows[~settled], {name: value[~settled] for name, value in state.items()}
        return Answers(probabilities, exits, infer_ms)

    def every_exit(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the calibrated probabilities (K, N, C) of all exits for `images` (N, H, W, 3)."""
        found, state = [], {"images": images}
        for stage in self._stages:
            answer, state = stage.run(state)
            found.append(answer)
        return np.stack(found)


def make_session(graph: bytes | str, provider: str = "auto", threads: int = 1) -> Any:
    """Start onnxruntime on a serialised graph, or a file's path, with `threads` inside an operation.

    Raises `UsageError` if "cuda" is asked for and cannot be had, `BundleError` for what is no graph.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(graph, options, providers=_providers(provider))
    except UsageError:
        raise
    except Exception as error:  # onnxruntime raises its own types, which share no base but Exception.
        raise BundleError(f"onnxruntime cannot load a graph: {_line(error)}") from error
    if provider == "cuda" and session.get_providers()[0] != _CUDA:
        raise UsageError("onnxruntime could not start CUDA here; `mango-grader doctor` says what it finds")
    return session


def run_session(session: Any, feed: dict[str, Any]) -> list[Any]:
    """Run a session for all its outputs; raise `MangoError` if onnxruntime fails."""
    try:
        return list(session.run(None, feed))
    except Exception as error:  # As above.
        raise MangoError(f"onnxruntime failed: {_line(error)}") from error


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the softmax over the last axis."""
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True), np.float32)


def _providers(provider: str) -> list[Any]:
    if provider not in get_args(Provider):
        raise UsageError(f"provider {provider!r}: use auto, cpu or cuda")
    has_cuda = _CUDA in onnxruntime.get_available_providers()
    if provider == "cuda" and not has_cuda:
        raise UsageError(
            "this onnxruntime has no CUDA; run: pip uninstall onnxruntime && pip install 'onnxruntime-gpu[cuda,cudnn]'"
        )
    if provider == "cpu" or not has_cuda:
        return [_CPU]
    if hasattr(onnxruntime, "preload_dlls"):  # Since 1.21: finds CUDA and cuDNN where pip put them.
        with contextlib.redirect_stdout(sys.stderr):
            onnxruntime.preload_dlls()
    return [(_CUDA, {"use_tf32": "0"}), _CPU]  # TensorFloat-32 would miss the golden answers.


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
