"""The decision rule that asks a person where more than one class cannot be excluded, with a stated coverage."""

import math
import re
from dataclasses import dataclass, field, replace
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from mango_grader.errors import UsageError
from mango_grader.runtime.decisions.base import Decisions, RuleContext, stopped
from mango_grader.runtime.exits import CalibrationSet, ExitPolicy, stop_exits
from mango_grader.runtime.exits.plain import plain_probabilities
from mango_grader.text import counted

_ALPHA = re.compile(r"alpha=(\d{0,3}\.?\d{1,12}|\d{1,3}e-\d{1,2})", re.ASCII)
_SEED = 0  # of the image that stands for its fruit
_SLACK = 1e-9  # 0.05 of 20 is 1, whatever binary fractions make of it.


@dataclass(frozen=True)
class Conformal:
    """Gives each image a set of classes that holds the true one with a probability of 1 − `alpha`, or more.

    The most probable class is answered; it is always in the set. More than one class in the set means that a person
    should look. The promise holds on average over fruit like the calibration fruit, whatever the network. It is for
    one image of a fruit: the calibration takes one image of each fruit, by chance, since images of a fruit are alike.

    The set has the classes whose probability is not below the ⌊(n + 1) a⌋-th smallest that the true class has among the
    n calibration fruit, each at the exit where the policy stops it:

    - under `full` and `exit:K`, all at that exit, with a = `alpha`. The coverage is proven.
    - under a policy that looks at the image, such as `threshold`, `budget` and `risk`, each at its own exit, with a =
      `alpha`. Its thresholds may have been chosen on the same fruit, so the coverage is not proven but measured: on
      average over 200 draws of 59 fruit it was 89.4 ± 0.3 % for 90 %, with the thresholds that make the fewest errors
      on these very fruit, and within 0.1 of the promise with 400 fruit.
    - under a deadline, where the exit is nobody's choice: every exit is calibrated with a = `alpha` / K of K exits, so
      that all their sets hold the true class at once, and the set is the union of those of all exits that ran.

    The temperatures were fitted on the same fruit, so probabilities are compared at temperature 1, which depends on the
    network alone. They are found from calibrated probabilities p as p^T / Σ p^T.

    Source: Vovk, Gammerman & Shafer, Algorithmic Learning in a Random World (2005), split conformal prediction with the
    score 1 − p; Dunn, Wasserman & Ramdas, Distribution-Free Prediction Sets for Two-Layer Hierarchical Models
    (arXiv:1809.07441), one image of each group.

    Attributes:
        alpha: share of images whose set may lack the true class, above 0 and below 1.
        answers: the calibration data.
        temperatures: (K,), of every exit, by which the probabilities are calibrated.
        policy: the exit policy that it is used with.
        least: (K,), the least probability of a class in the set of each exit; 0 lets every class in.
        shared: (K,), the same where all exits are calibrated together, for policies with a deadline.
    """

    form: ClassVar[str] = "conformal:alpha=0.05"
    alpha: float
    answers: CalibrationSet = field(compare=False, repr=False)
    temperatures: tuple[float, ...]
    policy: ExitPolicy
    least: tuple[float, ...]
    shared: tuple[float, ...]

    def decide(self, history: NDArray[np.floating], exits: NDArray[np.integer]) -> Decisions:
        """Return the most probable class, the set, and whether it has more than one class."""
        inside = np.stack([_inside(*each) for each in zip(history, self.temperatures, self.least, strict=True)])
        numbers = np.arange(1, len(inside) + 1)[:, None]
        counts = numbers <= exits if self.policy.depends_on == "clock" else numbers == exits
        sets = np.any(inside & counts[:, :, None], axis=0)
        return Decisions(stopped(history, exits).argmax(axis=1), sets.sum(axis=1) > 1, sets=sets)

    def under(self, policy: ExitPolicy) -> Self:
        """Return this rule for images that another policy stops.

        Where there are too few calibration fruit for several exits, every class is in the set.
        """
        if policy == self.policy:
            return self
        if policy.depends_on == "clock":  # Deadlines come with each image, within whose time nothing is sorted.
            return replace(self, policy=policy, least=self.shared)
        true = _true_probabilities(self.answers, self.temperatures)
        return replace(self, policy=policy, least=_at_stops(self.answers, true, self.alpha, policy))

    def __str__(self) -> str:
        return _name(self.alpha)

    @classmethod
    def of(cls, answers: CalibrationSet, temperatures: tuple[float, ...], alpha: float, policy: ExitPolicy) -> Self:
        """Return the rule that calibration data give for an exit policy.

        Args:
            answers: to graded fruit that the network was not trained on.
            temperatures: (K,), by which the answers are calibrated.
            alpha: share of images whose set may lack the true class, above 0 and below 1.
            policy: the exit policy that it is used with.

        Raises:
            UsageError: if the fruit are not graded, or if the network has been trained on them.
        """
        name, fresh = f"decision rule {_name(alpha)}", "mango-grader calibrate"
        if answers.retrained:
            raise UsageError(f"{name}: the model was trained on its calibration fruit; give it fresh fruit: {fresh}")
        if answers.labels is None:
            raise UsageError(f"{name}: the calibration fruit are not graded; give it graded ones: {fresh}")
        true = _true_probabilities(answers, temperatures)
        shared = tuple(_quantile(each, alpha / len(true)) for each in true)
        least = shared if policy.depends_on == "clock" else _at_stops(answers, true, alpha, policy)
        return cls(alpha, answers, temperatures, policy, least, shared)

    @classmethod
    def parse(cls, argument: str, context: RuleContext) -> Self:
        """Return the rule for "alpha=0.05" and the exit policy that it is used with."""
        match = _ALPHA.fullmatch(argument)
        alpha = float(match[1]) if match else math.nan
        if not 0 < alpha < 1:
            raise UsageError(f"conformal:{argument[:40]!r}: write conformal:alpha=0.05, a share above 0 and below 1")
        model, policy = context.model, context.policy
        answers, temperatures = model.read_calibration(), model.temperatures or (1.0,) * model.exits
        found = cls.of(answers, temperatures, alpha, policy)
        shared = model.exits if policy.depends_on == "clock" else 1
        if _rank(answers.group_count, alpha / shared) < 1:
            raise UsageError(_too_few(answers.group_count, alpha, shared, policy))
        return found


def _true_probabilities(answers: CalibrationSet, temperatures: tuple[float, ...]) -> NDArray[np.float64]:
    """Return the probability of the true class at each exit, of one image of each fruit, (K, n)."""
    assert answers.labels is not None
    rows = _one_by_group(answers.groups)
    plain = [plain_probabilities(*each) for each in zip(answers.probabilities[:, rows], temperatures, strict=True)]
    return np.stack([each[np.arange(len(rows)), answers.labels[rows]] for each in plain])


def _at_stops(
    answers: CalibrationSet, true: NDArray[np.float64], alpha: float, policy: ExitPolicy
) -> tuple[float, ...]:
    """Return the least probability of a class in the sets, (K,): one for all exits, by where the policy stops fruit."""
    stops = stop_exits(policy, answers.probabilities[:, _one_by_group(answers.groups)])
    return (_quantile(true[stops, np.arange(true.shape[1])], alpha),) * len(true)


def _name(alpha: float) -> str:
    return f"conformal:alpha={alpha:.12g}"


def _too_few(groups: int, alpha: float, exits: int, policy: ExitPolicy) -> str:
    """Return why a number of calibration fruit is too small, and how many are needed."""
    each = "" if exits == 1 else f", {alpha / exits:.3g} for each of the {exits} exits that {policy} may stop at,"
    needed = math.ceil(exits / alpha - _SLACK) - 1
    return (
        f"decision rule {_name(alpha)}{each} needs {needed:,} calibration fruit; this model has"
        f" {counted(groups, 'fruit', 'fruit')}. Ask for a larger alpha, or give it more fruit: mango-grader calibrate"
    )


def _one_by_group(groups: NDArray[np.integer]) -> NDArray[np.int64]:
    """Return the row of one image of each group, drawn by chance but always the same."""
    order = np.random.default_rng(_SEED).permutation(len(groups))
    first: NDArray[np.int64] = order[np.unique(groups[order], return_index=True)[1]]
    return first


def _rank(count: int, alpha: float) -> int:
    return math.floor((count + 1) * alpha + _SLACK)


def _quantile(true: NDArray[np.float64], alpha: float) -> float:
    """Return the probability that the true class of a new image undercuts with a probability of at most `alpha`."""
    rank = _rank(len(true), alpha)
    return float(np.sort(true)[rank - 1]) if rank else 0.0


def _inside(probabilities: NDArray[np.floating], temperature: float, least: float) -> NDArray[np.bool_]:
    """Return the sets of one exit, (N, C); empty where it did not run."""
    with np.errstate(invalid="ignore"):
        enough = plain_probabilities(probabilities, temperature) >= least
    return np.asarray(enough | (probabilities == probabilities.max(axis=1, keepdims=True)))
