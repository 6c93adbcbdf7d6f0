"""What is measured of an exit policy together with a decision rule: what is answered, reviewed, spent and paid."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mango_grader.runtime.decisions import Cost, Decisions
from mango_grader.runtime.exits import ExitPolicy, stop_exits
from mango_grader.training.bootstrap import Difference, Estimate
from mango_grader.training.metrics import AnswerMetrics, EvaluationSet, answer_metrics, mean, with_count

FRUIT = 1000
"""Number of fruit whose cost is given."""


@dataclass(frozen=True, eq=False)
class Stops:
    """Where an exit policy stopped each of N images, and what was known by then.

    Attributes:
        history: (K, N, C), calibrated probabilities of every exit; NaN where an exit did not run.
        exits: (N,) int, the exit at which each image stopped, from 1.
        ms: (N,), milliseconds of decoding and of all stages that ran; None where nothing was timed.
        late: (N,) bool, whether the answer came after the policy's deadline; None for policies without one.
    """

    history: NDArray[np.floating]
    exits: NDArray[np.int64]
    ms: NDArray[np.float64] | None = None
    late: NDArray[np.bool_] | None = None

    @classmethod
    def replayed(
        cls, policy: ExitPolicy, probabilities: NDArray[np.floating], passed_ms: NDArray[np.float64] | None = None
    ) -> "Stops":
        """Return where a policy would have stopped images whose answers at every exit are known.

        Args:
            policy: without a deadline.
            probabilities: (K, N, C), calibrated, of every exit.
            passed_ms: (K, N), milliseconds from the start of decoding to each exit's answer; None where nothing was
                timed.
        """
        exits = stop_exits(policy, probabilities) + 1
        ran = np.arange(len(probabilities))[:, None] < exits
        history = np.where(ran[..., None], probabilities, np.nan)
        ms = None if passed_ms is None else passed_ms[exits - 1, np.arange(len(exits))]
        return cls(history, exits, ms)


@dataclass(frozen=True)
class Latency:
    """Milliseconds from the start of decoding to the answer, one image at a time.

    Attributes:
        p50: median.
        p99: that 99 % of the images do not exceed.
    """

    p50: float
    p99: float

    @classmethod
    def of(cls, ms: NDArray[np.float64]) -> "Latency":
        """Return the quantiles of times (N,) in milliseconds."""
        p50, p99 = np.quantile(ms, [0.5, 0.99]).tolist()
        return cls(round(p50, 3), round(p99, 3))


@dataclass(frozen=True, eq=False)
class Yardstick:
    """What all combinations are measured by.

    Attributes:
        evaluated: the N images.
        macs: (K,), multiply-adds of one image up to and with each exit.
        last: (N,) bool, whether the most probable class at the last exit is correct.
        prices: the rule whose prices judge all decisions; None where nothing is priced.
    """

    evaluated: EvaluationSet
    macs: tuple[int, ...]
    last: NDArray[np.bool_]
    prices: Cost | None = None


@dataclass(frozen=True, kw_only=True)
class CombinationMetrics:
    """An exit policy and a decision rule on n labelled images.

    Attributes:
        policy: the exit policy as it was asked for.
        decide: the decision rule as it was asked for.
        answers: how good the answers are, those that a person should look at included.
        shares: (K,), share of the images that stopped at each exit.
        loss: accuracy of the last exit's most probable class minus this one's; positive where this one is worse.
        macs: multiply-adds per image, on average.
        work: the same as a share of the last exit's multiply-adds.
        latency: per image; None where nothing was timed.
        late: share of the answers after the policy's deadline; None for policies without one.
        review: share of the images that a person should look at; None for rules that never ask for it.
        kept_accuracy: accuracy of the answers that no one has to look at; None if there are none, or no reviews.
        cost: what 1,000 fruit cost by their true classes, reviews included; None where nothing is priced, or where a
            person is asked whose look has no price.
    """

    policy: str
    decide: str
    answers: AnswerMetrics
    shares: tuple[float, ...]
    loss: Difference
    macs: Estimate
    work: Estimate
    latency: Latency | None = None
    late: float | None = None
    review: Estimate | None = None
    kept_accuracy: Estimate | None = None
    cost: Estimate | None = None

    @property
    def gain(self) -> Difference:
        """The loss with its sign turned: positive where this one is better than the last exit."""
        low, high = self.loss.low, self.loss.high
        return Difference(-self.loss.value, None if high is None else -high, None if low is None else -low, self.loss.p)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "CombinationMetrics":
        """Read what `to_dict` wrote."""
        estimates = ("macs", "work", "review", "kept_accuracy", "cost")
        read = {name: values[name] and Estimate(**values[name]) for name in estimates}
        read |= {"answers": AnswerMetrics.from_dict(values["answers"]), "loss": Difference(**values["loss"])}
        read |= {"latency": values["latency"] and Latency(**values["latency"]), "shares": tuple(values["shares"])}
        return cls(**{**values, **read})


def combination_metrics(
    policy: str, decide: str, stops: Stops, decisions: Decisions, yardstick: Yardstick
) -> CombinationMetrics:
    """Measure an exit policy together with a decision rule.

    Args:
        policy: name of the exit policy.
        decide: name of the decision rule.
        stops: where the policy stopped the N images.
        decisions: what the rule decided about them.
        yardstick: what all combinations are measured by.
    """
    evaluated, rows = yardstick.evaluated, np.arange(len(stops.exits))
    bootstrap, correct = evaluated.bootstrap, decisions.answers == evaluated.labels
    confidence = stops.history[stops.exits - 1, rows, decisions.answers]
    macs = np.asarray(yardstick.macs, np.float64)
    spent = macs[stops.exits - 1]
    review, prices = decisions.review, yardstick.prices
    kept = None if review is None or review.all() else np.stack([correct & ~review, ~review], axis=1)
    paid = None if prices is None else _paid(prices, decisions, evaluated.labels)
    return CombinationMetrics(
        policy=policy,
        decide=decide,
        answers=answer_metrics(decisions.answers, confidence, evaluated),
        shares=tuple((np.bincount(stops.exits - 1, minlength=len(macs)) / len(rows)).tolist()),
        loss=bootstrap.difference(yardstick.last, correct),
        macs=bootstrap.estimate(with_count(spent), mean),
        work=bootstrap.estimate(with_count(spent / macs[-1]), mean),
        latency=None if stops.ms is None else Latency.of(stops.ms),
        late=None if stops.late is None else float(stops.late.mean()),
        review=None if review is None else bootstrap.estimate(with_count(review), mean),
        kept_accuracy=None if kept is None else bootstrap.estimate(kept, mean),
        cost=None if paid is None else bootstrap.estimate(with_count(FRUIT * paid), mean),
    )


def _paid(prices: Cost, decisions: Decisions, labels: NDArray[np.integer]) -> NDArray[np.float64] | None:
    """Return what each image costs by its true class, (N,); None where a person is asked whose look has no price."""
    asked = decisions.review is not None and decisions.review.any()
    return None if asked and prices.prices.review is None else prices.realised(decisions, labels)


@dataclass(frozen=True)
class AnytimeCurve:
    """The accuracy of every exit over its cost.

    Attributes:
        macs: (K,), multiply-adds of one image up to and with each exit.
        ms: (K,), median milliseconds from the start of decoding to each exit's answer; None where nothing was timed.
        accuracy: (K,), share of correct answers, 0..1.
        area: mean accuracy over all multiply-adds between those of the first exit and of the last, with straight lines
            between exits, 0..1; with one exit, its accuracy.
        area_ms: the same over milliseconds; None where nothing was timed.
    """

    macs: tuple[int, ...]
    ms: tuple[float, ...] | None
    accuracy: tuple[float, ...]
    area: float
    area_ms: float | None


def anytime_curve(
    probabilities: NDArray[np.floating], yardstick: Yardstick, passed_ms: NDArray[np.float64] | None = None
) -> AnytimeCurve:
    """Return the curve of answers at every exit.

    Args:
        probabilities: (K, N, C), calibrated, of every exit.
        yardstick: the N images and their cost.
        passed_ms: (K, N), milliseconds from the start of decoding to each exit's answer; None where nothing was timed.
    """
    accuracy = (probabilities.argmax(axis=2) == yardstick.evaluated.labels).mean(axis=1)
    macs = np.asarray(yardstick.macs, np.float64)
    ms = None if passed_ms is None else np.median(passed_ms, axis=1)
    return AnytimeCurve(
        macs=yardstick.macs,
        ms=None if ms is None else tuple(np.round(ms, 3).tolist()),
        accuracy=tuple(accuracy.tolist()),
        area=mean_over(macs, accuracy),
        area_ms=None if ms is None else mean_over(ms, accuracy),
    )


def mean_over(costs: NDArray[np.float64], values: NDArray[np.floating]) -> float:
    """Return the mean of values over the range of costs, with straight lines between; the last value if it is empty.

    Args:
        costs: (K,), in ascending order.
        values: (K,).

    Example:
        >>> import numpy as np
        >>> mean_over(np.array([1.0, 2.0, 4.0]), np.array([0.5, 0.7, 0.7]))
        0.6666666666666666
    """
    width = float(costs[-1] - costs[0])
    return float(np.trapezoid(values, costs)) / width if width > 0 else float(values[-1])
