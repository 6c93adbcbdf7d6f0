"""The grader: it returns one record per image, in order and in constant memory."""

import contextlib
import itertools
import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Self

import numpy as np
from numpy.typing import NDArray

from mango_grader.cores import ordered_map
from mango_grader.errors import BundleError, ImageError, UsageError
from mango_grader.runtime.bundle.archive import Bundle
from mango_grader.runtime.bundle.manifest import Manifest
from mango_grader.runtime.decisions import DecisionRule, parse_decision_rule, stopped
from mango_grader.runtime.exits import Deadline, ExitPolicy, StageTimes, parse_exit_policy
from mango_grader.runtime.exits.deadline import check_ms
from mango_grader.runtime.images.formats import known_formats
from mango_grader.runtime.images.preprocess import ImageSource, Prepared
from mango_grader.runtime.inference.heat_map import HeatMap, HeatMaps
from mango_grader.runtime.inference.measuring import MeasuredTimes
from mango_grader.runtime.inference.model_context import policy_context, rule_context
from mango_grader.runtime.inference.precision import choose_precision
from mango_grader.runtime.inference.records import Record
from mango_grader.runtime.inference.sessions import StagedModel
from mango_grader.runtime.inference.verify import check_golden

# Larger batches gain nothing on a processor, and leave the workers of a small job with unequal shares.
BATCH_SIZE = 4


class Grader:
    """A loaded model with its exit policy and decision rule; safe to use from several threads.

    Args:
        bundle: of the model.
        model: loaded from the bundle.
        policy: which images stop at which exit.
        rule: what is answered, and which images a person should look at.
        exact: whether to decode large JPEGs in full, see `load`.
        times: of the stages on this host; None measures them when a deadline first asks for them.

    Example:
        ```python
        grader = Grader.load("model.mango")
        record = grader.grade("mango.jpg")
        print(record.grade, record.confidence)
        ```
    """

    def __init__(
        self,
        bundle: Bundle,
        model: StagedModel,
        policy: ExitPolicy,
        rule: DecisionRule,
        *,
        exact: bool = False,
        times: MeasuredTimes | None = None,
    ) -> None:
        self.bundle, self.model, self.policy, self.rule, self.exact = bundle, model, policy, rule, exact
        self._times = times or MeasuredTimes(bundle, model)
        if isinstance(policy, Deadline) and len(policy.times) != len(bundle.manifest.exits):
            raise UsageError(
                f"{policy} has times of {len(policy.times)} stages, the model has {len(bundle.manifest.exits)}"
            )

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        provider: str = "auto",
        precision: str = "fp32",
        policy: ExitPolicy | str | None = None,
        decide: DecisionRule | str | None = None,
        *,
        check: bool = True,
        exact: bool = False,
    ) -> Self:
        """Load a model.

        Args:
            path: of a .mango file, or of the folder of a finished run.
            provider: "cpu", "cuda", or "auto", which takes CUDA if it can be started.
            precision: "fp32", "int8", or "auto", see `choose_precision`.
            policy: an exit policy or its name, see `parse_exit_policy`; None is the bundle's own.
            decide: a decision rule or its name, see `parse_decision_rule`; None is the bundle's own.
            check: whether to recompute the golden answers first.
            exact: whether to decode large JPEGs in full. By default, a JPEG that comes as a path, bytes or a file is
                decoded at a reduced size, fast and as in training; its probabilities differ by up to some 0.01 from
                those of its decoded array. In full, both get the same answer.

        Raises:
            UsageError: if there is no such model, provider, precision, exit policy or decision rule, or if the model
                lacks what they need.
            BundleError: if the bundle is damaged or of a later version.
        """
        bundle = Bundle.open(path)
        if precision == "auto":
            precision = choose_precision(bundle, provider).precision
        model = StagedModel.load(bundle, provider, precision)
        times = MeasuredTimes(bundle, model)
        context = policy_context(bundle, precision, times)
        if not isinstance(policy, ExitPolicy):
            with _own(bundle, policy is None):
                policy = parse_exit_policy(policy or bundle.manifest.default_policy, context)
        if not isinstance(decide, DecisionRule):
            with _own(bundle, decide is None):
                rules = rule_context(bundle, context, policy)
                decide = parse_decision_rule(decide or bundle.manifest.default_decide, rules)
        if check:
            check_golden(model, bundle)
        known_formats()  # Now, not within the first image's time.
        return cls(bundle, model, policy, decide, exact=exact, times=times)

    @property
    def manifest(self) -> Manifest:
        """The description of the model."""
        return self.bundle.manifest

    @property
    def warning(self) -> str | None:
        """Why the exit policy cannot do what it was asked to do on this host; None if it can."""
        return self.policy.warning if isinstance(self.policy, Deadline) else None

    def stage_times(self, workers: int = 1) -> StageTimes:
        """Return how long the stages take on this host; without a profile of `bench`, it is measured for a second.

        Whatever has a deadline asks for them. A program whose first image cannot wait for a second calls this before.

        Args:
            workers: number of threads that grade side by side, 1 or more.
        """
        return self._times.of(workers)

    def grade(self, image: ImageSource, *, deadline_ms: float | None = None) -> Record:
        """Grade one image; a record with an `error` is returned for an image that cannot be decoded.

        Args:
            image: a path, encoded bytes, a binary file, an image of Pillow's, or an array in RGB.
            deadline_ms: milliseconds from this call to its answer, above 0; the image stops as soon as the deadline or
                the grader's own policy says so. Without a profile of `bench`, the first call with a deadline measures
                the stages for about a second before its clock starts, see `stage_times`. None sets no deadline.

        Raises:
            UsageError: if `deadline_ms` is not above 0.
        """
        policy = self.policy if deadline_ms is None else self._policy_within(check_ms(deadline_ms))
        return self._grade_batch([image], policy, time.perf_counter())[0]

    def _policy_within(self, ms: float) -> Deadline:
        if isinstance(self.policy, Deadline):
            return self.policy.tightened(ms)
        return Deadline(ms, self.stage_times(), self.policy)

    def explain(self, image: ImageSource, record: Record | None = None) -> HeatMap:
        """Return where in an image the evidence for its grade lies, at the exit that answered.

        Args:
            image: as for `grade`; a file is read from its start again.
            record: its result of `grade`; None grades it first.

        Raises:
            UsageError: if the model has no heat maps.
            ImageError: if the image has no grade.

        Example:
            ```python
            grader = Grader.load("model.mango")
            heat_map = grader.explain("mango.jpg")
            print(heat_map.grade, heat_map.peak)
            ```
        """
        heat_maps = self.heat_maps
        record = record or self.grade(image)
        if record.grade is None or record.exit is None:
            raise ImageError(record.error or "it has no grade")
        pixels = self.manifest.preprocess(image, exact=self.exact)
        return heat_maps.heat_map(pixels, record.grade, record.exit)

    @cached_property
    def heat_maps(self) -> HeatMaps:
        """The model's heat maps, loaded when they are first asked for; raises as `HeatMaps.load` does."""
        return HeatMaps.load(self.bundle, self.model)

    def stream(self, images: Iterable[ImageSource]) -> Iterator[Record]:
        """Yield each image's record before the next image is asked for, as a live camera needs it.

        Args:
            images: as for `grade`; they may be endless.
        """
        _check_many(images, "stream")
        return map(self.grade, images)

    def grade_many(
        self, images: Iterable[ImageSource], batch_size: int | None = None, workers: int = 1
    ) -> Iterator[Record]:
        """Yield one record per image, in order, with no more than a few batches in memory at a time.

        The first record comes after the first `batch_size` images; `stream` answers each image at once. The clock of a
        deadline starts when an image has been taken from `images`.

        Args:
            images: as for `grade`; they may be endless.
            batch_size: images that are inferred together, 1 or more; None is 4, or 1 with a deadline.
            workers: number of threads that decode and infer, 1 or more. Records do not depend on it.
        """
        _check_many(images, "grade_many")
        policy = self.policy
        hurried = isinstance(policy, Deadline)
        size = (1 if hurried else BATCH_SIZE) if batch_size is None else batch_size
        if size < 1 or workers < 1:
            raise UsageError("batch size and workers must be at least 1")
        if hurried and size > 1:
            raise UsageError(f"a deadline is kept for one image at a time: leave batch_size={size} out")
        if isinstance(policy, Deadline) and workers > 1:
            policy = replace(policy, times=self.stage_times(workers))
        return self._grade_batches(_drawn(images, size), policy, workers)

    def _grade_batches(self, batches: Iterable["_Batch"], policy: ExitPolicy, workers: int) -> Iterator[Record]:
        ahead = 1 if isinstance(policy, Deadline) else 2  # An image that waits for a worker loses time.
        grade = partial(self._grade_drawn, policy)
        with contextlib.closing(ordered_map(grade, batches, workers, ahead=ahead)) as graded:
            for records in graded:
                yield from records

    def _grade_drawn(self, policy: ExitPolicy, batch: "_Batch") -> list[Record]:
        return self._grade_batch(batch.images, policy, batch.started)

    def _grade_batch(self, images: list[ImageSource], policy: ExitPolicy, started: float) -> list[Record]:
        decoded = [self._decode(image) for image in images]
        sound = [prepared.pixels for prepared, _ in decoded if isinstance(prepared, Prepared)]
        graded = self._answer(np.stack(sound), policy, started) if sound else iter(())
        records = [
            Record.failed(_path(image), str(prepared), decode_ms)
            if isinstance(prepared, ImageError)
            else self._record(_path(image), decode_ms, prepared.warning, next(graded))
            for image, (prepared, decode_ms) in zip(images, decoded, strict=True)
        ]
        if not isinstance(policy, Deadline):
            return records
        late = policy.missed(started)
        return [replace(record, late=late) for record in records]

    def _decode(self, image: ImageSource) -> tuple[Prepared | ImageError, float]:
        start = time.perf_counter()
        try:
            prepared: Prepared | ImageError = self.manifest.preprocess.prepare(image, exact=self.exact)
        except ImageError as error:
            prepared = error
        return prepared, (time.perf_counter() - start) * 1e3

    def _answer(self, images: NDArray[np.uint8], policy: ExitPolicy, started: float) -> Iterator["_Answer"]:
        """Yield what the model and the rule say to each of the decoded images."""
        answers = self.model.run(images, policy, started)
        if isinstance(policy, Deadline):
            policy.times.learn(answers.stage_ms[:, 0].tolist())
        probabilities = stopped(answers.history, answers.exits)
        finite = np.isfinite(probabilities).all(axis=1)
        history = np.where(finite[None, :, None], answers.history, np.float32(0))  # No rule has to expect NaN.
        decisions = self.rule.under(policy).decide(history, answers.exits)
        for row, (values, stop, infer_ms) in enumerate(
            zip(probabilities.tolist(), answers.exits.tolist(), answers.infer_ms.tolist(), strict=True)
        ):
            yield _Answer(
                tuple(values) if finite[row] else None,
                int(decisions.answers[row]),
                stop,
                infer_ms,
                None if decisions.review is None else bool(decisions.review[row]),
                None if decisions.costs is None else float(decisions.costs[row]),
                None if decisions.sets is None else tuple(np.flatnonzero(decisions.sets[row]).tolist()),
            )

    def _record(self, path: str, decode_ms: float, warning: str | None, answer: "_Answer") -> Record:
        values, classes = answer.probabilities, self.manifest.classes
        if values is None:
            return Record.failed(path, "the model gave no finite answer", decode_ms, answer.infer_ms)
        return Record(
            path=path,
            grade=classes[answer.answer],
            probabilities=values,
            confidence=values[answer.answer],
            exit=answer.exit,
            decode_ms=decode_ms,
            infer_ms=answer.infer_ms,
            error=None,
            warning=warning,
            review=answer.review,
            cost=answer.cost,
            labels=None if answer.labels is None else tuple(classes[index] for index in answer.labels),
        )


@dataclass(frozen=True)
class _Batch:
    """Images that are inferred together, and when the last of them was handed in (`time.perf_counter`)."""

    images: list[ImageSource]
    started: float


def _drawn(images: Iterable[ImageSource], size: int) -> Iterator[_Batch]:
    source = iter(images)
    while batch := list(itertools.islice(source, size)):
        yield _Batch(batch, time.perf_counter())


@dataclass(frozen=True)
class _Answer:
    """What is known of one decoded image; `probabilities` are None where they are not finite."""

    probabilities: tuple[float, ...] | None
    answer: int
    exit: int
    infer_ms: float
    review: bool | None
    cost: float | None
    labels: tuple[int, ...] | None


@contextlib.contextmanager
def _own(bundle: Bundle, own: bool) -> Iterator[None]:
    """Turn a `UsageError` into a `BundleError` where the bundle itself names what cannot be used."""
    try:
        yield
    except UsageError as error:
        if not own:
            raise
        raise BundleError(f"{bundle.path}: its default cannot be used: {error}") from error


def _path(image: ImageSource) -> str:
    return os.fsdecode(image) if isinstance(image, str | os.PathLike) else ""


def _check_many(images: object, method: str) -> None:
    one = isinstance(images, str | bytes | bytearray | memoryview | os.PathLike) or hasattr(images, "read")
    if one or (isinstance(images, np.ndarray) and images.ndim < 4):  # Its rows would be taken for grey images.
        raise UsageError(f"{method} takes many images; use grade for one")
