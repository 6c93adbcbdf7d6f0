"""What is measured of a classifier with exits: figures per exit and per exit policy, with intervals over groups."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import confusion_matrix

from mango_grader.runtime.bundle.guessing import Guessing
from mango_grader.runtime.exits import ExitPolicy, stop_exits
from mango_grader.training.bootstrap import REPLICATES, Difference, Estimate, Floats, GroupBootstrap

BINS = 15
_TINY = 1e-12


@dataclass(frozen=True, eq=False)
class EvaluationSet:
    """The labelled images that a classifier is measured on, and the resamples that its intervals come from.

    Attributes:
        labels: int (N,), each image's class.
        groups: (N,), the name of each image's group (a fruit); whole groups are resampled.
        classes: names of the C classes, in the order of the probabilities.
        ordinal: whether the classes are grades in order.
        seed: of the bootstrap.
        replicates: number of resamples; 0 for figures without intervals.
    """

    labels: NDArray[np.integer]
    groups: Sequence[str]
    classes: Sequence[str]
    ordinal: bool
    seed: int = 0
    replicates: int = REPLICATES

    @cached_property
    def bootstrap(self) -> GroupBootstrap:
        """The resamples, the same for every figure."""
        return GroupBootstrap(self.groups, self.seed, self.replicates)


@dataclass(frozen=True)
class Bin:
    """One bin of a reliability diagram.

    Attributes:
        count: number of answers whose confidence lies in the bin.
        confidence: their mean confidence, 0..1.
        accuracy: share of them that are correct, 0..1.
    """

    count: int
    confidence: float
    accuracy: float


@dataclass(frozen=True)
class AnswerMetrics:
    """How good the answers to n labelled images are, whichever exits gave them.

    Attributes:
        count: number of images.
        groups: number of groups (fruit) behind the figures.
        accuracy: share of correct answers, 0..1; it equals the recall averaged with the classes' sizes as weights.
        balanced_accuracy: recall averaged over the classes that occur, 0..1.
        recalls: recall of each class, 0..1; None where the class does not occur.
        confusion: [true][answered] counts.
        kappa: Cohen's kappa with quadratic weights, at most 1; None unless the classes are grades in order.
        extreme_confusion: of the images of the first and the last grade, the share that was called the other one; None
            unless there are three or more grades in order.
        calibration_error: mean of |accuracy − confidence| over 15 equally wide bins, weighted by size (Guo et al.,
            2017).
    """

    count: int
    groups: int
    accuracy: Estimate
    balanced_accuracy: Estimate
    recalls: tuple[Estimate | None, ...]
    confusion: tuple[tuple[int, ...], ...]
    kappa: Estimate | None
    extreme_confusion: Estimate | None
    calibration_error: Estimate

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "AnswerMetrics":
        """Read what `asdict` gives."""
        return cls(**{**values, **_read_answers(values)})


@dataclass(frozen=True, kw_only=True)
class ExitMetrics(AnswerMetrics):
    """One exit on n labelled images, and how good its answers are.

    Attributes:
        exit: number of the exit, from 1.
        macs: multiply-adds for one image, up to and with this exit.
        params: parameters up to and with this exit.
        log_loss: mean negative log likelihood, in nats.
        reliability: the bins behind `calibration_error`, from confidence 0 to 1.
    """

    exit: int
    macs: int
    params: int
    log_loss: Estimate
    reliability: tuple[Bin, ...]

    @property
    def guessing(self) -> Guessing:
        """This exit beside always answering the commonest class."""
        commonest = max(sum(row) for row in self.confusion) / self.count
        return Guessing(self.accuracy.value, self.accuracy.low, commonest, self.count, self.groups)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "ExitMetrics":
        """Read what `to_dict` wrote."""
        read = _read_answers(values) | {"log_loss": Estimate(**values["log_loss"])}
        read["reliability"] = tuple(Bin(**each) for each in values["reliability"])
        return cls(**{**values, **read})


@dataclass(frozen=True)
class PolicyMetrics:
    """An exit policy on n labelled images.

    Attributes:
        name: what the policy is called.
        count: number of images.
        groups: number of groups (fruit) behind the figures.
        accuracy: share of correct answers, 0..1, each image answered by the exit at which it stopped.
        macs: multiply-adds per image, on average.
        cost: the same as a share of the last exit's multiply-adds.
        shares: (K,), share of the images that stopped at each exit.
        loss: accuracy of the last exit minus the policy's, on the same images; positive where the policy is worse.
    """

    name: str
    count: int
    groups: int
    accuracy: Estimate
    macs: Estimate
    cost: Estimate
    shares: tuple[float, ...]
    loss: Difference

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "PolicyMetrics":
        """Read what `to_dict` wrote."""
        read = {name: Estimate(**values[name]) for name in ("accuracy", "macs", "cost")}
        loss, shares = Difference(**values["loss"]), tuple(values["shares"])
        return cls(**{**values, **read, "loss": loss, "shares": shares})


def exit_metrics(
    probabilities: NDArray[np.floating], evaluated: EvaluationSet, macs: Sequence[int], params: Sequence[int]
) -> tuple[ExitMetrics, ...]:
    """Measure every exit.

    Args:
        probabilities: (K, N, C), calibrated, of every exit.
        evaluated: the N images.
        macs: (K,), multiply-adds up to and with each exit.
        params: (K,), parameters likewise.
    """
    by_exit = zip(probabilities, macs, params, strict=True)
    return tuple(_one_exit(number, evaluated, *each) for number, each in enumerate(by_exit, start=1))


def policy_metrics(
    name: str,
    policy: ExitPolicy,
    probabilities: NDArray[np.floating],
    evaluated: EvaluationSet,
    macs: Sequence[int],
) -> PolicyMetrics:
    """Measure an exit policy.

    Args:
        name: what the policy is called.
        policy: decides at which exit each image is answered.
        probabilities: (K, N, C), calibrated, of every exit.
        evaluated: the N images.
        macs: (K,), multiply-adds up to and with each exit.
    """
    settled = stop_exits(policy, probabilities)
    correct = probabilities.argmax(axis=2) == evaluated.labels
    answers = correct[settled, np.arange(len(settled))]
    spent = np.asarray(macs, dtype=np.float64)[settled]
    bootstrap = evaluated.bootstrap
    return PolicyMetrics(
        name=name,
        count=bootstrap.items,
        groups=bootstrap.groups,
        accuracy=bootstrap.estimate(with_count(answers), mean),
        macs=bootstrap.estimate(with_count(spent), mean),
        cost=bootstrap.estimate(with_count(spent / macs[-1]), mean),
        shares=tuple((np.bincount(settled, minlength=len(macs)) / len(settled)).tolist()),
        loss=bootstrap.difference(correct[-1], answers),
    )


def answer_metrics(
    answers: NDArray[np.integer], confidence: NDArray[np.floating], evaluated: EvaluationSet
) -> AnswerMetrics:
    """Measure answers, each given by any exit.

    Args:
        answers: (N,), class of each answer, 0..C - 1.
        confidence: (N,), probability of each answer, 0..1.
        evaluated: the N images.
    """
    labels, classes, bootstrap = evaluated.labels, len(evaluated.classes), evaluated.bootstrap
    counts = np.zeros((len(labels), classes, classes))
    counts[np.arange(len(labels)), labels, answers] = 1
    # One class at a time, its correct answers and its size: the statistic stays a plain mean.
    of_class = [np.stack([counts[:, c, c], counts[:, c].sum(axis=1)], axis=1) for c in range(classes)]
    return AnswerMetrics(
        count=bootstrap.items,
        groups=bootstrap.groups,
        accuracy=bootstrap.estimate(counts, _accuracy),
        balanced_accuracy=bootstrap.estimate(counts, lambda sums: np.nanmean(_recalls(sums), axis=1)),
        recalls=tuple(bootstrap.estimate(values, mean) if values[:, 1].any() else None for values in of_class),
        confusion=tuple(map(tuple, confusion_matrix(labels, answers, labels=range(classes)).tolist())),
        kappa=bootstrap.estimate(counts, quadratic_kappa) if evaluated.ordinal else None,
        extreme_confusion=bootstrap.estimate(counts, _extreme) if evaluated.ordinal and classes > 2 else None,
        calibration_error=bootstrap.estimate(_bins(confidence, answers == labels), _calibration_error),
    )


def _one_exit(
    number: int, evaluated: EvaluationSet, probabilities: NDArray[np.floating], macs: int, params: int
) -> ExitMetrics:
    labels, predicted, confidence = evaluated.labels, probabilities.argmax(axis=1), probabilities.max(axis=1)
    likelihood = np.clip(probabilities[np.arange(len(labels)), labels].astype(np.float64), _TINY, 1.0)
    return ExitMetrics(
        exit=number,
        macs=int(macs),
        params=int(params),
        **vars(answer_metrics(predicted, confidence, evaluated)),
        log_loss=evaluated.bootstrap.estimate(with_count(-np.log(likelihood)), mean),
        reliability=tuple(
            Bin(int(count), float(sure / max(count, 1)), float(correct / max(count, 1)))
            for count, sure, correct in _bins(confidence, predicted == labels).sum(axis=0)
        ),
    )


def _read_answers(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the figures of `AnswerMetrics` that JSON keeps as plain objects and lists."""
    estimates = ("accuracy", "balanced_accuracy", "kappa", "extreme_confusion", "calibration_error")
    read: dict[str, Any] = {name: values[name] and Estimate(**values[name]) for name in estimates}
    read["recalls"] = tuple(recall and Estimate(**recall) for recall in values["recalls"])
    read["confusion"] = tuple(tuple(row) for row in values["confusion"])
    return read


def _bins(confidences: NDArray[np.floating], correct: NDArray[np.bool_]) -> Floats:
    """Return (N, 15, 3): each answer's count, confidence and correctness in the bin of its confidence."""
    confidence = confidences.astype(np.float64)
    slot = np.clip(np.ceil(confidence * BINS).astype(int) - 1, 0, BINS - 1)
    bins = np.zeros((len(correct), BINS, 3))
    bins[np.arange(len(correct)), slot] = np.stack([np.ones_like(confidence), confidence, correct], axis=1)
    return bins


def with_count(values: NDArray[np.generic]) -> Floats:
    """Return (N, 2): each of N values and a one, as `mean` takes their sums."""
    return np.stack([np.asarray(values, dtype=np.float64), np.ones(len(values))], axis=1)


def mean(sums: Floats) -> Floats:
    """Return the mean of each row of sums and counts, (R,); NaN where nothing was counted.

    Args:
        sums: (R, 2), of values and of their number.
    """
    return _ratio(sums[:, 0], sums[:, 1])


def _ratio(part: Floats, whole: Floats) -> Floats:
    """Return part / whole; NaN where whole is 0."""
    return np.divide(part, whole, out=np.full_like(whole, np.nan), where=whole > 0)


def _accuracy(confusion: Floats) -> Floats:
    return _ratio(np.trace(confusion, axis1=1, axis2=2), confusion.sum(axis=(1, 2)))


def _recalls(confusion: Floats) -> Floats:
    """Return (R, C); NaN where a class has no items."""
    size = confusion.sum(axis=2)
    correct = np.diagonal(confusion, axis1=1, axis2=2)
    return _ratio(correct, size)


def _extreme(confusion: Floats) -> Floats:
    outer = confusion[:, [0, -1]].sum(axis=(1, 2))
    swapped = confusion[:, 0, -1] + confusion[:, -1, 0]
    return _ratio(swapped, outer)


def _calibration_error(bins: Floats) -> Floats:
    return _ratio(np.abs(bins[:, :, 1] - bins[:, :, 2]).sum(axis=1), bins[:, :, 0].sum(axis=1))


def quadratic_kappa(confusion: Floats) -> Floats:
    """Return Cohen's kappa with quadratic weights of each confusion matrix, (R,), at most 1.

    It is 1 where one class is the label and the answer of every image. Source: Cohen (1968).

    Args:
        confusion: (R, C, C), [true][predicted] counts.
    """
    classes = confusion.shape[1]
    distance = np.square(np.subtract.outer(np.arange(classes), np.arange(classes)))
    chance = confusion.sum(axis=2)[:, :, None] * confusion.sum(axis=1)[:, None, :]
    expected = (chance * distance).sum(axis=(1, 2)) / confusion.sum(axis=(1, 2))
    observed = (confusion * distance).sum(axis=(1, 2))
    return np.where(expected > 0, 1 - observed / np.maximum(expected, _TINY), 1.0)
