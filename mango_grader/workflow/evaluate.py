"""`mango-grader evaluate` as a function: a bundle measured on graded photos, by the runtime that grades."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np

from mango_grader.datasets import read_dataset
from mango_grader.errors import UsageError
from mango_grader.progress import Progress, SilentProgress
from mango_grader.report import ReportData
from mango_grader.report.caveats import warnings
from mango_grader.runtime import Grader
from mango_grader.runtime.decisions import Cost, DecisionRule, Decisions, parse_decision_rule
from mango_grader.runtime.exits import Deadline, ExitPolicy, Full, Threshold, parse_exit_policy
from mango_grader.runtime.inference.measuring import MeasuredTimes
from mango_grader.runtime.inference.model_context import policy_context, rule_context
from mango_grader.training.bootstrap import REPLICATES, Estimate
from mango_grader.training.combinations import (
    AnytimeCurve,
    CombinationMetrics,
    Stops,
    Yardstick,
    anytime_curve,
    combination_metrics,
)
from mango_grader.training.metrics import EvaluationSet
from mango_grader.workflow.answering import EveryExit, GradedImages, answer_every_exit, graded_images, keep_deadline
from mango_grader.workflow.combining import Refusal, make_allowed, usual_policies
from mango_grader.workflow.predictions import Prediction
from mango_grader.workflow.run.measure import Measured, measure

FEWEST_REPLICATES, MOST_REPLICATES = 100, 100_000
"""Resamples that an interval takes at least, and at most."""


@dataclass(frozen=True)
class EvaluateOptions:
    """How a model is evaluated.

    Attributes:
        policies: exit policies to measure, the first of which gives the confusion and the predictions; () for the usual
            ones, with those of the model's own.
        rules: decision rules to measure with each of them, the first likewise; () for the model's own.
        precision: "fp32", "int8", or "auto", see `choose_precision`.
        provider: where onnxruntime runs: "auto", "cpu" or "cuda".
        group_by: which images belong together in the intervals: a column of the labels, FILE:COLUMN, or "re:" and a
            pattern on file names, or "none"; None finds photos of the same fruit.
        labels: CSV of reviewed labels, which correct those of the folder; None for none.
        split: a run's split.json; the figures are then of its test part alone.
        bootstrap: number of resamples that intervals come from, 100 to 100,000; 0 for no intervals.
        seed: of the bootstrap.
    """

    policies: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()
    precision: str = "fp32"
    provider: str = "auto"
    group_by: str | None = None
    labels: str | None = None
    split: str | None = None
    bootstrap: int = REPLICATES
    seed: int = 0

    def __post_init__(self) -> None:
        if self.bootstrap and not FEWEST_REPLICATES <= self.bootstrap <= MOST_REPLICATES:
            raise UsageError(
                f"a bootstrap of {self.bootstrap} resamples: use {FEWEST_REPLICATES} to {MOST_REPLICATES:,}, or 0 for "
                "no intervals"
            )


@dataclass(frozen=True)
class Answered:
    """What one exit policy and one decision rule answered.

    Attributes:
        policy: the exit policy's name.
        accuracy: share of correct answers, 0..1.
        balanced_accuracy: recall averaged over the classes that occur, 0..1.
        recalls: by class, 0..1; None for a class without an image.
        confusion: number of images, [true class][answer].
        decide: the decision rule's name.
    """

    policy: str
    accuracy: Estimate
    balanced_accuracy: Estimate
    recalls: tuple[Estimate | None, ...]
    confusion: tuple[tuple[int, ...], ...]
    decide: str = "argmax"

    @classmethod
    def of(cls, metrics: CombinationMetrics) -> "Answered":
        """Return the figures of a combination."""
        found = metrics.answers
        return cls(
            metrics.policy, found.accuracy, found.balanced_accuracy, found.recalls, found.confusion, metrics.decide
        )


@dataclass(frozen=True)
class Evaluation:
    """What a bundle achieves on a data set.

    Attributes:
        model: path of the bundle or its run.
        data: path of the data set.
        precision: "fp32" or "int8".
        classes: the model's classes, in their order.
        measured: figures of every exit and every exit policy of the model.
        combinations: figures of every exit policy with every decision rule.
        refused: policies and rules that the model does not allow, and why.
        anytime: accuracy over cost, exit by exit.
        answered: what the first of the policies and rules that were asked for answered, else the model's own.
        predictions: the same image by image, in the data's order.
        warnings: what these figures warn of, one line each.
        priced_by: the first decision rule with prices, which the costs of all are of, else "the model"; None where
            nothing is priced.
    """

    model: str
    data: str
    precision: str
    classes: tuple[str, ...]
    measured: Measured
    combinations: tuple[CombinationMetrics, ...]
    refused: tuple[Refusal, ...]
    anytime: AnytimeCurve
    answered: Answered
    predictions: tuple[Prediction, ...]
    warnings: tuple[str, ...]
    priced_by: str | None = None

    @property
    def errors(self) -> dict[str, str]:
        """Path → reason of the images that have no answer."""
        return {each.path: each.error for each in self.predictions if each.error is not None}

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-safe plain data, without the predictions."""
        return {
            "model": self.model,
            "data": self.data,
            "precision": self.precision,
            "classes": list(self.classes),
            **self.measured.to_dict(),
            "combinations": [each.to_dict() for each in self.combinations],
            "refused": [asdict(each) for each in self.refused],
            "anytime": asdict(self.anytime),
            "priced_by": self.priced_by,
            "answered": asdict(self.answered),
            "warnings": list(self.warnings),
            "errors": self.errors,
        }


def evaluate(
    model: str, data: str, options: EvaluateOptions | None = None, progress: Progress | None = None
) -> Evaluation:
    """Measure a bundle on labelled images.

    All exits answer every image once, one image at a time, and are timed; where other exit policies stop, and how long
    they take, follows from that. A deadline is kept in earnest: each has the images graded again.

    Args:
        model: a .mango file, or a run folder.
        data: folder of graded photos, with classes that the model knows.
        options: how it is evaluated; None for the defaults.
        progress: told what happens; None keeps it quiet.

    Raises:
        UsageError: the data have a class that the model does not know, or an option names what the model lacks.
        MangoError: no image can be read.
    """
    options, progress = options or EvaluateOptions(), progress or SilentProgress()
    grader = Grader.load(model, options.provider, options.precision)
    choices = _Choices.of(grader, options)
    manifest = grader.manifest
    dataset = read_dataset(data, options.group_by, manifest.ordinal, options.labels)
    images = graded_images(dataset, options.split, progress)
    if unknown := set(images.dataset.classes) - set(manifest.classes):
        hint = f"; {images.dataset.nested}" if images.dataset.nested else ""
        raise UsageError(f"{data} has classes that {model} does not know: {', '.join(sorted(unknown))}{hint}")
    outputs = answer_every_exit(grader, images, progress)
    labels = np.array([manifest.classes.index(images.label(index)) for index in outputs.indices])
    groups = [images.groups[index] for index in outputs.indices]
    evaluated = EvaluationSet(
        labels, groups, manifest.classes, manifest.ordinal, options.seed, replicates=options.bootstrap
    )
    macs, params = [info.macs for info in manifest.exits], [info.params for info in manifest.exits]
    tuned = {name: Threshold.of(each) for name, each in manifest.policies.items()}
    measured = measure(outputs.probabilities, evaluated, macs=macs, params=params, policies=tuned)
    last = outputs.probabilities[-1].argmax(axis=1) == labels
    yardstick = Yardstick(evaluated, tuple(macs), last, choices.prices)
    combinations = tuple(_measured(grader, images, outputs, choices, yardstick, progress))
    first = next((one for one in combinations if one.named == choices.first), combinations[0])
    report = ReportData(
        title=data,
        classes=manifest.classes,
        ordinal=manifest.ordinal,
        exits=measured.exits,
        policies=measured.policies,
        default_policy=first.metrics.policy,
        notes=(f"{dataset.reviewed}.".capitalize(),) if dataset.reviewed else (),
    )
    return Evaluation(
        model=model,
        data=data,
        precision=grader.model.precision,
        classes=manifest.classes,
        measured=measured,
        combinations=tuple(one.metrics for one in combinations),
        refused=choices.refused,
        anytime=anytime_curve(outputs.probabilities, yardstick, outputs.passed_ms),
        answered=Answered.of(first.metrics),
        predictions=tuple(_predictions(images, outputs, first, manifest.classes)),
        warnings=warnings(report),
        priced_by=choices.priced_by,
    )


@dataclass(frozen=True, eq=False)
class _Choices:
    """What is measured: the rules of each policy, `first` the one that gives the predictions; and what is refused."""

    policies: dict[str, ExitPolicy]
    rules: dict[str, dict[str, DecisionRule]]
    first: tuple[str, str]
    refused: tuple[Refusal, ...]
    prices: Cost | None = None
    priced_by: str | None = None

    @classmethod
    def of(cls, grader: Grader, options: EvaluateOptions) -> "_Choices":
        """Make the policies and rules; one that was asked for and is not allowed raises `UsageError`."""
        bundle, manifest = grader.bundle, grader.manifest
        context = policy_context(bundle, grader.model.precision, MeasuredTimes(bundle, grader.model))
        refused: tuple[Refusal, ...] = ()
        parse = partial(parse_exit_policy, context=context)
        if options.policies:
            policies = {name: parse(name) for name in options.policies}
        else:
            calibrated = manifest.calibration is not None
            usual = usual_policies(
                len(manifest.exits), manifest.policies, manifest.default_policy, calibrated=calibrated
            )
            policies, refused = make_allowed(usual, parse)
        names = options.rules or (manifest.default_decide,)
        rules: dict[str, dict[str, DecisionRule]] = {}
        for name, policy in policies.items():
            offered = rule_context(bundle, context, policy)
            rules[name], without = make_allowed(names, partial(parse_decision_rule, context=offered))
            for one in without:
                # "full" comes first of the usual policies: a rule that even it does not allow helps none of them.
                if options.policies or policy == Full():
                    raise UsageError(one.reason)
                refused += (Refusal(f"{name} with {one.name}", one.reason),)
        first = (options.policies or (manifest.default_policy,))[0], names[0]
        priced = {decide: rule for one in rules.values() for decide, rule in one.items() if isinstance(rule, Cost)}
        if not priced and manifest.prices is not None:
            priced = {"the model": Cost(manifest.prices)}
        priced_by, prices = next(iter(priced.items()), (None, None))
        return cls(policies, rules, first, refused, prices, priced_by)


@dataclass(frozen=True, eq=False)
class _Combination:
    """A measured policy and rule, and what it did image by image."""

    metrics: CombinationMetrics
    stops: Stops
    decisions: Decisions

    @property
    def named(self) -> tuple[str, str]:
        return self.metrics.policy, self.metrics.decide


def _measured(
    grader: Grader,
    images: GradedImages,
    outputs: EveryExit,
    choices: _Choices,
    yardstick: Yardstick,
    progress: Progress,
) -> Iterator[_Combination]:
    for name, policy in choices.policies.items():
        if isinstance(policy, Deadline):
            stops = keep_deadline(grader, policy, images, outputs.indices, progress)
        else:
            stops = Stops.replayed(policy, outputs.probabilities, outputs.passed_ms)
        for decide, rule in choices.rules[name].items():
            decisions = rule.decide(stops.history, stops.exits)
            yield _Combination(combination_metrics(name, decide, stops, decisions, yardstick), stops, decisions)


def _predictions(
    images: GradedImages, outputs: EveryExit, first: _Combination, classes: tuple[str, ...]
) -> Iterator[Prediction]:
    rows = {index: row for row, index in enumerate(outputs.indices)}
    for index in images.indices:
        if index in outputs.errors:
            yield Prediction(*images.names(index), error=outputs.errors[index])
            continue
        row = rows[index]
        stop, answer = int(first.stops.exits[row]), int(first.decisions.answers[row])
        values = tuple(first.stops.history[stop - 1, row].tolist())
        yield Prediction(*images.names(index), classes[answer], values, values[answer], stop)
