"""`mango-grader evaluate` as a function: a bundle measured on graded photos, by the runtime that grades."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mango_grader.datasets import Dataset, Split, read_dataset
from mango_grader.errors import ImageError, MangoError, UsageError
from mango_grader.progress import Progress, SilentProgress
from mango_grader.report import ReportData
from mango_grader.report.caveats import warnings
from mango_grader.runtime import Grader
from mango_grader.runtime.exits import stop_exits
from mango_grader.training.bootstrap import Estimate
from mango_grader.training.metrics import EvaluationSet, exit_metrics
from mango_grader.workflow.predictions import Prediction
from mango_grader.workflow.run.measure import Measured, measure

_BATCH = 32


@dataclass(frozen=True, kw_only=True)
class EvaluateOptions:
    """How a model is evaluated.

    Attributes:
        policy: exit policy whose answers are counted class by class: "full", "exit:K" or "threshold"; None for the
            model's own.
        precision: "fp32", "int8", or "auto", see `choose_precision`.
        provider: where onnxruntime runs: "auto", "cpu" or "cuda".
        group_by: which images belong together in the intervals: a column of the labels, FILE:COLUMN, or "re:" and a
            pattern on file names.
        split: a run's split.json; the figures are then of its test part alone.
        seed: of the bootstrap.
    """

    policy: str | None = None
    precision: str = "fp32"
    provider: str = "auto"
    group_by: str | None = None
    split: str | None = None
    seed: int = 0


@dataclass(frozen=True)
class Answered:
    """What one exit policy answered.

    Attributes:
        policy: its name.
        accuracy: share of correct answers, 0..1.
        balanced_accuracy: recall averaged over the classes that occur, 0..1.
        recalls: by class, 0..1; None for a class without an image.
        confusion: number of images, [true class][answer].
    """

    policy: str
    accuracy: Estimate
    balanced_accuracy: Estimate
    recalls: tuple[Estimate | None, ...]
    confusion: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Evaluation:
    """What a bundle achieves on a data set.

    Attributes:
        model: path of the bundle or its run.
        data: path of the data set.
        precision: "fp32" or "int8".
        classes: the model's classes, in their order.
        measured: figures of every exit and every exit policy of the model.
        answered: what the exit policy that was asked for answered.
        predictions: the same image by image, in the data's order.
        warnings: what these figures warn of, one line each.
    """

    model: str
    data: str
    precision: str
    classes: tuple[str, ...]
    measured: Measured
    answered: Answered
    predictions: tuple[Prediction, ...]
    warnings: tuple[str, ...]

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
            "answered": asdict(self.answered),
            "warnings": list(self.warnings),
            "errors": self.errors,
        }


def evaluate(
    model: str, data: str, options: EvaluateOptions | None = None, progress: Progress | None = None
) -> Evaluation:
    """Measure a bundle on labelled images.

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
    grader = Grader.load(model, options.provider, options.precision, options.policy)
    manifest = grader.manifest
    images = _read_images(data, options, manifest.ordinal, progress)
    if unknown := set(images.dataset.classes) - set(manifest.classes):
        hint = f"; {images.dataset.nested}" if images.dataset.nested else ""
        raise UsageError(f"{data} has classes that {model} does not know: {', '.join(sorted(unknown))}{hint}")
    outputs = _every_exit(grader, images, progress)
    labels = np.array([manifest.classes.index(images.label(index)) for index in outputs.indices])
    groups = [images.groups[index] for index in outputs.indices]
    evaluated = EvaluationSet(labels, groups, manifest.classes, manifest.ordinal, options.seed)
    macs, params = [info.macs for info in manifest.exits], [info.params for info in manifest.exits]
    measured = measure(outputs.probabilities, evaluated, macs=macs, params=params, policies=manifest.policies)
    policy = options.policy or manifest.default_policy
    settled = stop_exits(grader.policy, outputs.probabilities)
    answers = outputs.probabilities[settled, np.arange(len(labels))]
    # The answers of a policy, wherever each was given, are counted like those of one exit.
    (counts,) = exit_metrics(answers[None], evaluated, macs[-1:], params[-1:])
    answered = Answered(policy, counts.accuracy, counts.balanced_accuracy, counts.recalls, counts.confusion)
    by_index = dict(zip(outputs.indices, zip(answers, settled, strict=True), strict=True))
    predictions = (
        Prediction(*images.names(index), error=outputs.errors[index])
        if index in outputs.errors
        else _prediction(images.names(index), *by_index[index], manifest.classes)
        for index in images.indices
    )
    report = ReportData(
        title=data,
        classes=manifest.classes,
        ordinal=manifest.ordinal,
        exits=measured.exits,
        policies=measured.policies,
        default_policy=policy,
    )
    return Evaluation(
        model, data, grader.model.precision, manifest.classes, measured, answered, tuple(predictions), warnings(report)
    )


@dataclass(frozen=True)
class _Images:
    """The images to evaluate: those at `indices` of a data set; `groups` has one name for each image of the set."""

    dataset: Dataset
    indices: tuple[int, ...]
    groups: tuple[str, ...]

    def label(self, index: int) -> str:
        return self.dataset.classes[self.dataset.items[index].label]

    def names(self, index: int) -> tuple[str, str, str]:
        """Return path, label and group."""
        return self.dataset.items[index].path, self.label(index), self.groups[index]


def _read_images(data: str, options: EvaluateOptions, ordinal: bool, progress: Progress) -> _Images:
    dataset = read_dataset(data, options.group_by, ordinal)
    progress.note(dataset.labels_line)
    for finding in dataset.findings:
        progress.note(f"data: {finding}")
    if options.split:
        split = Split.load(options.split, dataset)
        return _Images(dataset, split.test, split.groups)
    return _Images(dataset, tuple(range(len(dataset.items))), tuple(item.group for item in dataset.items))


@dataclass(frozen=True)
class _Outputs:
    """What every exit answered.

    Attributes:
        indices: of the N images that have an answer.
        probabilities: (exits, N, classes).
        errors: by index, why another image has no answer.
    """

    indices: tuple[int, ...]
    probabilities: NDArray[np.float32]
    errors: dict[int, str]


def _every_exit(grader: Grader, images: _Images, progress: Progress) -> _Outputs:
    """Compute every exit's answers; raise MangoError if no image gets one."""
    dataset, indices = images.dataset, images.indices
    answered: list[int] = []
    answers: list[NDArray[np.float32]] = []
    errors: dict[int, str] = {}
    with progress.task("evaluate", len(indices)) as task:
        for start in range(0, len(indices), _BATCH):
            pixels: dict[int, NDArray[np.uint8]] = {}
            for index in indices[start : start + _BATCH]:
                try:
                    pixels[index] = grader.manifest.preprocess(dataset.root / dataset.items[index].path)
                except ImageError as error:
                    errors[index] = str(error)
                task.advance()
            if not pixels:
                continue
            batch = grader.model.every_exit(np.stack(list(pixels.values())))
            finite = np.asarray(np.isfinite(batch).all(axis=(0, 2)))
            for index, sound in zip(pixels, finite.tolist(), strict=True):
                if sound:
                    answered.append(index)
                else:
                    errors[index] = "the model gave no finite answer"
            answers.append(batch[:, finite])
    if not answered:
        raise MangoError(f"no image of {dataset.root} can be graded: {next(iter(errors.values()), 'there is none')}")
    return _Outputs(tuple(answered), np.concatenate(answers, axis=1), errors)


def _prediction(
    names: tuple[str, str, str], probabilities: NDArray[np.float32], settled: np.int64, classes: Sequence[str]
) -> Prediction:
    best = int(probabilities.argmax())
    values = tuple(probabilities.tolist())
    return Prediction(*names, classes[best], values, values[best], int(settled) + 1)
