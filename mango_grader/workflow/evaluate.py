"""`mango-grader evaluate` as a function: a bundle against graded photos, answered by the runtime that ships."""

from collections.abc import Iterator, Sequence
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
from mango_grader.training.bootstrap import Estimate
from mango_grader.training.metrics import EvaluationSet, exit_metrics, settled_exits
from mango_grader.workflow.predictions import Prediction
from mango_grader.workflow.run.measure import Measured, measure

_BATCH = 32


@dataclass(frozen=True, kw_only=True)
class EvaluateOptions:
    """How a model is evaluated.

    Fields:
        policy: whose answers are counted class by class: "full", "exit:K" or "threshold"; None for the model's own.
        precision: "fp32" or "int8". provider: where onnxruntime runs.
        group_by: what belongs together in the intervals.
        split: a run's split.json, of whose test part alone the figures are.
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
    """What a policy answered: recalls by class, None where there is no image; [true][answered] counts."""

    policy: str
    accuracy: Estimate
    balanced_accuracy: Estimate
    recalls: tuple[Estimate | None, ...]
    confusion: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Evaluation:
    """What a bundle achieves on a data set.

    Fields:
        measured: every exit and every policy of the model.
        answered: what the policy that was asked for answered.
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
    """Measure a bundle on the labelled images of `data`.

    Raises UsageError if the data have a class that the model does not know or an option names what the model lacks,
    MangoError if no image can be read.
    """
    options, progress = options or EvaluateOptions(), progress or SilentProgress()
    grader = Grader.load(model, options.provider, options.precision, options.policy)
    manifest = grader.manifest
    dataset = read_dataset(data, options.group_by, manifest.ordinal)
    progress.note(dataset.labels_line)
    for finding in dataset.findings:
        progress.note(f"data: {finding}")
    if unknown := set(dataset.classes) - set(manifest.classes):
        hint = f"; {dataset.nested}" if dataset.nested else ""
        raise UsageError(f"{data} has classes that {model} does not know: {', '.join(sorted(unknown))}{hint}")
    split = Split.load(options.split, dataset) if options.split else None
    indices = split.test if split else tuple(range(len(dataset.items)))
    groups = split.groups if split else tuple(item.group for item in dataset.items)
    seen = _answer(grader, dataset, indices, progress)
    labels = np.array([manifest.classes.index(dataset.classes[dataset.items[row].label]) for row in seen.rows])
    evaluated = EvaluationSet(
        labels, [groups[row] for row in seen.rows], manifest.classes, manifest.ordinal, options.seed
    )
    macs, params = [info.macs for info in manifest.exits], [info.params for info in manifest.exits]
    measured = measure(seen.probabilities, evaluated, macs=macs, params=params, policies=manifest.policies)
    policy = options.policy or manifest.default_policy
    settled = settled_exits(grader.policy, seen.probabilities)
    answers = seen.probabilities[settled, np.arange(len(labels))]
    # The answers of a policy, wherever each was given, are those of one exit to their counts.
    (counts,) = exit_metrics(answers[None], evaluated, macs[-1:], params[-1:])
    answered = Answered(policy, counts.accuracy, counts.balanced_accuracy, counts.recalls, counts.confusion)
    found = dict(zip(seen.rows, zip(answers, settled, strict=True), strict=True))
    return Evaluation(
        model,
        data,
        options.precision,
        manifest.classes,
        measured,
        answered,
        tuple(_predictions(dataset, indices, groups, found, seen.errors, manifest.classes)),
        warnings(
            ReportData(
                title=data,
                classes=manifest.classes,
                ordinal=manifest.ordinal,
                exits=measured.exits,
                policies=measured.policies,
                default_policy=policy,
            )
        ),
    )


@dataclass(frozen=True)
class _Seen:
    """rows: dataset indices of N answered images. probabilities: (exits, N, classes). errors: index → reason."""

    rows: tuple[int, ...]
    probabilities: NDArray[np.float32]
    errors: dict[int, str]


def _answer(grader: Grader, dataset: Dataset, indices: Sequence[int], progress: Progress) -> _Seen:
    """Ask every exit about the images at `indices`; raise `MangoError` if none of them gets an answer."""
    rows: list[int] = []
    answers: list[NDArray[np.float32]] = []
    errors: dict[int, str] = {}
    with progress.task("evaluate", len(indices)) as task:
        for start in range(0, len(indices), _BATCH):
            images: dict[int, NDArray[np.uint8]] = {}
            for index in indices[start : start + _BATCH]:
                try:
                    images[index] = grader.manifest.preprocess(dataset.root / dataset.items[index].path)
                except ImageError as error:
                    errors[index] = str(error)
                task.advance()
            if not images:
                continue
            batch = grader.model.every_exit(np.stack(list(images.values())))
            finite = np.asarray(np.isfinite(batch).all(axis=(0, 2)))
            for index, sound in zip(images, finite.tolist(), strict=True):
                if sound:
                    rows.append(index)
                else:
                    errors[index] = "the model gave no finite answer"
            answers.append(batch[:, finite])
    if not rows:
        raise MangoError(f"no image of {dataset.root} can be graded: {next(iter(errors.values()), 'there is none')}")
    return _Seen(tuple(rows), np.concatenate(answers, axis=1), errors)


def _predictions(
    dataset: Dataset,
    indices: Sequence[int],
    groups: Sequence[str],
    found: dict[int, tuple[NDArray[np.float32], np.int64]],
    errors: dict[int, str],
    classes: Sequence[str],
) -> Iterator[Prediction]:
    for index in indices:
        item = dataset.items[index]
        named = (item.path, dataset.classes[item.label], groups[index])
        if index in errors:
            yield Prediction(*named, error=errors[index])
            continue
        probabilities, settled = found[index]
        best = int(probabilities.argmax())
        values = tuple(probabilities.tolist())
        yield Prediction(*named, classes[best], values, values[best], int(settled) + 1)
