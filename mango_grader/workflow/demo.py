"""`mango-grader demo`: the main job once, on synthetic mangoes, and how well the result does on fruit it never saw."""

import csv
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from mango_grader.datasets.probe import border_probe
from mango_grader.files import write_json
from mango_grader.line.known_grades import read_grades
from mango_grader.line.simulator import SimulatorSettings, write_belt
from mango_grader.progress import Progress
from mango_grader.runtime import Grader, Preprocess
from mango_grader.synthetic import Series, write_synthetic
from mango_grader.workflow.evaluate import EvaluateOptions, evaluate
from mango_grader.workflow.options import SearchOptions
from mango_grader.workflow.run.folder import RunFolder
from mango_grader.workflow.search import search

SEASON = ("belt", "rollers", "tray", "cloth", "concrete", "plain")
"""Backgrounds of the mangoes that are learned from."""
NEXT_SEASON = ("wood", "hand", "leaves", "tiles")
"""Backgrounds of the mangoes that the result is tested on."""

EXPECTED_ACCURACY = 0.8
"""What the last exit reaches on unseen mangoes at least, even beside other busy processes."""

_PROBE_SIZE = 96
_BELT_FRUIT = 40


@dataclass(frozen=True)
class DemoResult:
    """How well the demo's model grades mangoes of another season, and what simpler answers would reach.

    Attributes:
        unseen: images that it was tested on.
        accuracy: of each exit, in 0..1.
        majority: accuracy of always answering the commonest grade.
        border: accuracy of a probe that sees the image border alone.
        lesion_free: accuracy of the model on the same fruit without lesions: a model that sees anything but lesions
            stands out.
    """

    unseen: int
    accuracy: tuple[float, ...]
    majority: float
    border: float
    lesion_free: float


def demo(folder: Path, budget: float, seed: int, progress: Progress) -> tuple[RunFolder, DemoResult]:
    """Draw mangoes, search, and test the result on mangoes of another seed and on other backgrounds.

    Args:
        folder: where everything is kept; what is there already is not made again.
        budget: seconds of the search, up to the written bundle.
        seed: of the mangoes and of the search.
        progress: told what happens.

    Returns:
        The run, and what it reaches.
    """
    season, unseen = folder / "mangoes", folder / "unseen"
    write_synthetic(season, 700, Series(seed, backgrounds=SEASON), progress=progress)
    write_synthetic(unseen, 320, Series(seed + 1, backgrounds=NEXT_SEASON), clean=True, progress=progress)
    out = folder / "run"
    config = SearchOptions(data=str(season), size=(96, 96), budget=budget, seed=seed).config()
    run = search(out, config, resume=out.exists(), progress=progress)
    result = _tested(run, unseen, seed, progress)
    write_json(folder / "demo.json", asdict(result))
    return run, result


@dataclass(frozen=True)
class BeltResult:
    """How the mangoes of a simulated belt were counted and graded.

    Attributes:
        fruit: mangoes that passed the decision line.
        counted: decisions about them.
        agreed: share of the decisions with the grade of the whole skin, 0..1.
    """

    fruit: int
    counted: int
    agreed: float


def simulate_belt(folder: Path, seed: int, progress: Progress) -> Path:
    """Return a folder of frames of a simulated belt, with its truth and its configuration.

    Args:
        folder: of the demo.
        seed: of the demo; the belt's mangoes are others than those that were learned from or tested on.
        progress: told what happens.
    """
    belt = folder / "belt"
    write_belt(belt, SimulatorSettings(fruit=_BELT_FRUIT, seed=seed + 2), progress=progress)
    return belt


def compare_belt(belt: Path, table: Path) -> BeltResult:
    """Compare decisions with the truth.

    Args:
        belt: folder of a simulated belt.
        table: CSV of decisions.
    """
    known = read_grades(belt / "truth.csv")
    with table.open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["status"] == "decided"]
    agreed = [row["grade"] == known.at(int(row["lane"]), float(row["decided_time"])) for row in rows]
    fruit = sum(label != "" for passed in known.by_lane.values() for _, label in passed)
    return BeltResult(fruit, len(rows), float(np.mean(agreed)) if agreed else 0.0)


def _tested(run: RunFolder, unseen: Path, seed: int, progress: Progress) -> DemoResult:
    evaluation = evaluate(str(run.model), str(unseen), EvaluateOptions(provider="cpu", seed=seed), progress)
    with (unseen / "labels.csv").open(newline="", encoding="utf-8") as file:
        grades = {row["image_id"]: row["label"] for row in csv.DictReader(file)}
    names = sorted(grades)
    cleaned = Grader.load(run.model, "cpu", policy="full").grade_many(unseen / "clean" / name for name in names)
    correct = [record.grade == grades[name] for name, record in zip(names, cleaned, strict=True)]
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
        float(np.mean(correct)),
    )
