"""The answers of finished runs to images that they did not learn from."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mango_grader.datasets import Dataset
from mango_grader.datasets.cache import fingerprints
from mango_grader.datasets.record import DataRecord
from mango_grader.errors import UsageError
from mango_grader.files import read_json
from mango_grader.progress import Progress
from mango_grader.text import counted
from mango_grader.workflow.run.folder import RunFolder
from mango_grader.workflow.suspects.answers import OutOfFold

__all__ = ["answers_of_runs"]

_COMPARISON = "comparison.json"


def answers_of_runs(places: Sequence[str], dataset: Dataset, groups: Sequence[str], progress: Progress) -> OutOfFold:
    """Return what runs answered to their test images; where several answered one image, the mean.

    An image whose fruit a run learned from, under another path, is not out of fold and is left out of that run.

    Args:
        places: run folders, or folders of comparisons, of which every finished run counts.
        dataset: N images, which the runs were tested on, or some of which.
        groups: N group names, as `Contradictions.groups`.
        progress: of the checks.

    Raises:
        UsageError: a run is not finished, is on other images or classes, may have learned from its test images, or no
            image is left.
    """
    runs = [run for place in places for run in _runs(Path(place))]
    group_of = dict(zip(dataset.paths, groups, strict=True))
    item_of = {path: item for item, path in enumerate(dataset.paths)}
    sums = np.zeros((len(dataset.items), len(dataset.classes)))
    counts = np.zeros(len(dataset.items), np.int64)
    leaked: set[str] = set()
    for run in runs:
        found = _read(run, dataset)
        _require_same_images(run, found, dataset, progress)
        learned = {group_of[path] for path in found.learned if path in group_of}
        for path, probabilities in found.answers.items():
            if path not in item_of:
                continue  # left out by reviewed labels
            if group_of[path] in learned:
                leaked.add(path)
                continue
            sums[item_of[path]] += probabilities
            counts[item_of[path]] += 1
    items = np.flatnonzero(counts)
    if not len(items):
        raise UsageError(f"{', '.join(places)}: no answer is out of fold; leave out --run for a cross-validation")
    return OutOfFold(
        items,
        sums[items] / counts[items, None],
        f"{counted(len(runs), 'run')}, on test images",
        tuple(_notes(len(dataset.items), len(items), len(leaked))),
    )


def _notes(images: int, answered: int, leaked: int) -> Iterator[str]:
    if leaked:
        answers = counted(leaked, "answer")
        yield f"{answers} of the runs did not count: they had learned from other photos of the same fruit"
    if answered < images:
        yield (
            f"the runs' test images are {answered:,} of {images:,}; runs with --fold 1/5 to 5/5, a comparison with"
            " --seeds 5, or no --run at all judge every image"
        )


def _runs(place: Path) -> list[RunFolder]:
    if (place / _COMPARISON).exists():
        runs = [RunFolder(path.parent) for path in sorted(place.glob("*/*/config.json"))]
        finished = [run for run in runs if run.finished]
        if not finished:
            raise UsageError(f"--run {place}: no run of the comparison is finished")
        return finished
    run = RunFolder(place)
    run.read_config()  # raises where there is none
    if not run.finished:
        raise UsageError(f"--run {place} is not finished; continue it first: {run.resuming()}")
    return [run]


@dataclass(frozen=True, eq=False)
class _Answers:
    """Probabilities of the last exit by test image, and the paths of the images that the run learned from."""

    record: DataRecord
    answers: dict[str, NDArray[np.float64]]
    learned: tuple[str, ...]


def _read(run: RunFolder, dataset: Dataset) -> _Answers:
    config = run.read_config()
    teacher = None if config.teacher is None else config.teacher.source
    for option, source in (("--init-from", config.init_from), ("--teacher", teacher)):
        if source is not None and len(Path(source).parts) > 1:
            raise UsageError(
                f"--run {run.path} learned from {source} ({option}), which may have seen its test images; leave out"
                " --run for a cross-validation"
            )
    if not run.data.exists():
        raise UsageError(f"--run {run.path} is of an older version, which kept no record of its data")
    record = DataRecord.load(run.data)
    if set(record.classes) != set(dataset.classes):
        raise UsageError(
            f"--run {run.path} has the classes {', '.join(record.classes)}, the data have {', '.join(dataset.classes)}"
        )
    order = [record.classes.index(name) for name in dataset.classes]
    rows = map(json.loads, run.predictions.read_text(encoding="utf-8").splitlines())
    answers = {str(row["path"]): np.array(row["probabilities"][-1])[order] for row in rows}
    parts = read_json(run.split)
    learned = [*parts["train"], *(parts["val"] if config.retrain_on_all else ())]
    return _Answers(record, answers, tuple(learned))


def _require_same_images(run: RunFolder, found: _Answers, dataset: Dataset, progress: Progress) -> None:
    was = {each.path: each.fingerprint for each in found.record.images}
    left_out = dataset.reviewed.left_out if dataset.reviewed else {}
    paths = [path for path in found.answers if path not in left_out]
    known = set(dataset.paths)
    if lost := [path for path in paths if path not in known]:
        raise UsageError(f"--run {run.path} was tested on {lost[0]}, which {dataset.root} lacks: these are other data")
    now = fingerprints(dataset.root, paths, progress)
    if other := [path for path, is_now in zip(paths, now, strict=True) if was[path] != is_now]:
        raise UsageError(f"--run {run.path} was tested on another image {other[0]} than the one in {dataset.root}")
