"""`mango-grader demo`: the main job once, on synthetic mangoes, and how well the result does on fruit it never saw."""

import csv
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from mango_grader.datasets.probe import border_probe
from mango_grader.files import write_json
from mango_grader.progress import Progress
from mango_grader.runtime import Grader, Preprocess
from mango_grader.synthetic import write_synthetic
from mango_grader.workflow.configure import SearchOptions
from mango_grader.workflow.evaluate import EvaluateOptions, evaluate
from mango_grader.workflow.folder import RunFolder
from mango_grader.workflow.search import search

SEASON = ("belt", "rollers", "tray", "cloth", "concrete", "plain")
"""Backgrounds of the mangoes that are learned from."""
NEXT_SEASON = ("wood", "hand", "leaves", "tiles")
"""Backgrounds of those that the result is judged by."""

EXPECTED_ACCURACY = 0.75
"""What the last exit reaches on unseen mangoes at least, if the machine has time to train."""

_PROBE_SIZE = 96


@dataclass(frozen=True)
class DemoResult:
    """accuracy: of each exit on unseen mangoes; the rest are shares in [0, 1].

    majority: always the commonest grade. border: told from the image border alone. lesion_free: the model shown the
    same fruit without its lesions, so that a model which sees anything but lesions stands out.
    """

    unseen: int
    accuracy: tuple[float, ...]
    majority: float
    border: float
    lesion_free: float


def demo(folder: Path, budget: float, seed: int, progress: Progress) -> tuple[RunFolder, DemoResult]:
    """Make mangoes, search, and judge the result on other seeds and backgrounds; everything stays in `folder`.

    `budget` is in seconds and covers the search up to the written bundle. What stands already is not made again.
    """
    season, unseen = folder / "mangoes", folder / "unseen"
    write_synthetic(season, 700, seed, backgrounds=SEASON, progress=progress)
    write_synthetic(unseen, 320, seed + 1, backgrounds=NEXT_SEASON, clean=True, progress=progress)
    out = folder / "run"
    config = SearchOptions(data=str(season), size=(96, 96), budget=budget, seed=seed).config()
    run = search(out, config, resume=out.exists(), progress=progress)
    result = _judge(run, unseen, seed, progress)
    write_json(folder / "demo.json", asdict(result))
    return run, result


def _judge(run: RunFolder, unseen: Path, seed: int, progress: Progress) -> DemoResult:
    evaluation = evaluate(str(run.model), str(unseen), EvaluateOptions(provider="cpu", seed=seed), progress)
    with (unseen / "labels.csv").open(newline="", encoding="utf-8") as file:
        grades = {row["image_id"]: row["label"] for row in csv.DictReader(file)}
    names = sorted(grades)
    cleaned = Grader.load(run.model, "cpu", policy="full").grade_many(unseen / "clean" / name for name in names)
    right = [record.grade == grades[name] for name, record in zip(names, cleaned, strict=True)]
    preprocess = Preprocess(_PROBE_SIZE, _PROBE_SIZE)
    images = np.stack([preprocess(unseen / "images" / name) for name in names])
    labels = np.unique([grades[name] for name in names], return_inverse=True)[1].astype(np.int64)
    border = border_probe(images, labels, names, seed)
    exits = evaluation.measured.exits
    return DemoResult(
        exits[-1].count,
        tuple(each.accuracy.value for each in exits),
        border.majority,
        border.accuracy,
        float(np.mean(right)),
    )
