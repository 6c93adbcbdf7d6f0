"""`mango-grader evaluate` as a function: a bundle against graded photos, answered by the runtime that ships."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mango_grader.datasets import Dataset, Split, read_dataset
from mango_grader.errors import ImageError, MangoError, UsageError
from mango_grader.progress import Progress, Task
from mango_grader.runtime import Bundle, Preprocess, StagedModel
from mango_grader.workflow.measure import Measured, measure

_BATCH = 32


@dataclass(frozen=True)
class Evaluation:
    """What a bundle achieves on a data set. errors: path → reason of the pictures that could not be read."""

    model: str
    data: str
    classes: tuple[str, ...]
    measured: Measured
    errors: dict[str, str]

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-safe plain data."""
        plain = {"model": self.model, "data": self.data, "classes": list(self.classes)}
        return {**plain, **self.measured.to_dict(), "errors": self.errors}


def evaluate(
    model: str,
    data: str,
    group_by: str | None,
    split: str | None,
    seed: int,
    provider: str,
    progress: Progress,
) -> Evaluation:
    """Measure a bundle on the labelled pictures of `data`; with `split`, a run's split.json, on its test part only.

    Raises UsageError if the data have a class that the model does not know, MangoError if no picture can be read.
    """
    bundle = Bundle.open(model)
    manifest = bundle.manifest
    dataset = read_dataset(data, group_by, manifest.ordinal)
    if unknown := set(dataset.classes) - set(manifest.classes):
        raise UsageError(f"{data} has classes that {model} does not know: {', '.join(sorted(unknown))}")
    indices = Split.load(split, dataset).test if split else tuple(range(len(dataset.items)))
    errors: dict[str, str] = {}
    rows: list[int] = []
    answers: list[NDArray[np.float32]] = []
    staged = StagedModel.load(bundle, provider)
    with progress.task("evaluate", len(indices)) as task:
        for part, images in _batches(dataset, indices, manifest.preprocess, errors, task):
            answers.append(staged.every_exit(images))
            rows += part
    if not rows:
        raise MangoError(f"no picture of {data} can be read")
    names = [dataset.classes[dataset.items[row].label] for row in rows]
    measured = measure(
        np.concatenate(answers, axis=1),
        np.array([manifest.classes.index(name) for name in names]),
        [dataset.items[row].group for row in rows],
        classes=manifest.classes,
        ordinal=manifest.ordinal,
        macs=[info.macs for info in manifest.exits],
        params=[info.params for info in manifest.exits],
        policies=manifest.policies,
        seed=seed,
    )
    return Evaluation(model, data, manifest.classes, measured, errors)


def _batches(
    dataset: Dataset, indices: tuple[int, ...], preprocess: Preprocess, errors: dict[str, str], task: Task
) -> Iterator[tuple[list[int], NDArray[np.uint8]]]:
    """Yield item indices and their pictures (N, H, W, 3); unreadable ones go to `errors`."""
    rows: list[int] = []
    images: list[NDArray[np.uint8]] = []
    for index in indices:
        path = dataset.items[index].path
        try:
            images.append(preprocess(dataset.root / path))
            rows.append(index)
        except ImageError as error:
            errors[path] = str(error)
        task.advance()
        if len(rows) == _BATCH:
            yield rows, np.stack(images)
            rows, images = [], []
    if rows:
        yield rows, np.stack(images)
