"""The model of a running line: copies of it are kept, and its file may be replaced without a stop."""

import os
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from mango_grader.errors import BundleError, MangoError, UsageError
from mango_grader.line.config import LineConfig
from mango_grader.line.grading import FruitGrader, GradingConfig
from mango_grader.line.log.folder import LogFolder
from mango_grader.runtime.bundle.archive import Bundle
from mango_grader.runtime.decisions import parse_decision_rule
from mango_grader.runtime.exits import parse_exit_policy
from mango_grader.runtime.inference.grader import Grader
from mango_grader.runtime.inference.measuring import MeasuredTimes
from mango_grader.runtime.inference.model_context import policy_context, rule_context
from mango_grader.text import one_line

_EVERY = 20  # frames between two looks at the file
_Stamp = tuple[int, int, int]


def as_configured(grader: Grader, grading: GradingConfig) -> Grader:
    """Return a grader with the exit policy and the decision rule of a configuration; the model is not loaded again.

    Args:
        grader: with the model.
        grading: settings; policy and rule are the model's own where they are None.
    """
    bundle, model = grader.bundle, grader.model
    times = MeasuredTimes(bundle, model)
    context = policy_context(bundle, model.precision, times)
    policy = parse_exit_policy(grading.policy or bundle.manifest.default_policy, context)
    rule = parse_decision_rule(grading.decide or bundle.manifest.default_decide, rule_context(bundle, context, policy))
    return Grader(bundle, model, policy, rule, times=times)


@dataclass(frozen=True)
class Models:
    """The models of a line, each loaded in the same way, and known by the digest of its manifest.

    Attributes:
        config: of the line.
        folder: of the log, in which copies are kept.
        provider: "cpu" or "cuda".
        precision: "fp32" or "int8".
    """

    config: LineConfig
    folder: LogFolder
    provider: str
    precision: str
    _known: dict[str, Grader] = field(default_factory=dict)

    def keep(self, grader: Grader) -> None:
        """Keep a copy of a model that is loaded.

        Args:
            grader: with the model.
        """
        self.folder.keep_model(grader.bundle.path, grader.bundle.digest)
        self._known[grader.bundle.digest] = grader

    def use(self, path: str | os.PathLike[str]) -> None:
        """Take a model from a file, in place of the copy that is kept.

        Args:
            path: of a .mango file.
        """
        grader = self.load(path)
        self._known[grader.bundle.digest] = grader

    def load(self, path: str | os.PathLike[str]) -> Grader:
        """Load a model as all others of this line.

        Args:
            path: of a .mango file.
        """
        grading = self.config.grading
        return Grader.load(path, self.provider, self.precision, grading.policy, grading.decide)

    def grader(self, digest: str) -> FruitGrader:
        """Return a new grader of fruit with a model that was kept.

        Args:
            digest: of the model's manifest.
        """
        if digest not in self._known:
            copy = self.folder.model(digest)
            if not copy.is_file():
                raise UsageError(f"{copy} is gone; name the file of the model whose manifest has the digest {digest}")
            self._known[digest] = self.load(copy)
        return FruitGrader(self._known[digest], self.config.axes, self.config.crops, self.config.grading)


@dataclass(frozen=True)
class Refused:
    """A file that was put in the place of the model and cannot be used.

    Attributes:
        error: why.
    """

    error: str


class ModelWatch:
    """Looks now and then whether the file of the model was replaced; reads and checks a new one in a thread of its own.

    Args:
        path: of the .mango file.
        classes: that a new model must have, in this order.
        models: of the line.
    """

    def __init__(self, path: Path, classes: Sequence[str], models: Models) -> None:
        self._path, self._classes, self._models = path, tuple(classes), models
        self._stamp: _Stamp | None = None
        self._frames = 0
        self._reader = ThreadPoolExecutor(1, "model")
        self._reading: Future[Grader | None] | None = None

    def poll(self, digest: str) -> Grader | Refused | None:
        """Return a new model that is ready, or why it cannot be used; None if nothing is new. Ask at each frame.

        Args:
            digest: of the manifest of the model in use.
        """
        if self._reading is not None and self._reading.done():
            reading, self._reading = self._reading, None
            try:
                return reading.result()
            except (MangoError, OSError) as error:
                return Refused(one_line(str(error)))
        if self._frames % _EVERY == 0 and self._reading is None:
            self._reading = self._reader.submit(self._read, digest)
        self._frames += 1
        return None

    def _read(self, digest: str) -> Grader | None:
        stamp = _stamp(self._path)
        if stamp is None or stamp == self._stamp:
            return None
        self._stamp = stamp
        bundle = Bundle.open(self._path)
        if bundle.digest == digest:
            return None
        if bundle.manifest.classes != self._classes:
            raise BundleError(f"{self._path} has other classes: {', '.join(bundle.manifest.classes)}")
        # The copy is read, which nobody replaces meanwhile.
        return self._models.load(self._models.folder.keep_model(bundle.path, bundle.digest))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _at: TracebackType | None
    ) -> None:
        self._reader.shutdown(wait=True, cancel_futures=True)


def _stamp(path: Path) -> _Stamp | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
