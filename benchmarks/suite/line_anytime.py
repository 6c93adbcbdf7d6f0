"""Fruit-level anytime: fruit that are settled early, against every view of every fruit in full.

    python -m benchmarks.suite.line_anytime --work runs/line_anytime
    python -m benchmarks.suite.line_anytime --data ../shared/data/mango_lesions --work runs/policies

A measurement is one simulated belt, or one fold of real photos. Without --data, a network is searched and trained on
the crops of one simulated belt, and every measurement is a belt of another seed, whose sightings are those of a perfect
finder: what is measured is grading alone. With --data, a network is searched, trained and exported for each fold of a
grouped split, or taken from --work, and the fruit of the fold's test part that have several photos are graded.

Every arm sees the same frames, views and fusion; arms take turns frame by frame, so that a busy machine slows all of
them alike. "full" runs every stage for every view. The others ask an exit policy after each stage, by the fused answers
so far, once as many views have been looked at as the arm's name says. Thresholds come from the model's own validation
images; test fruit are only reported. Accuracy is that of fruit; its differences to "full" are paired and bootstrapped
over fruit. Time is that of stages, fusions, policies and answers; cutting and resizing are the same for all arms.

Time: 25 minutes on one core to make and train, a minute a belt. Hardware: 2 CPU cores. n: 3 belts of 600 fruit.
"""

import csv
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np
from PIL import Image

from benchmarks.lib.measurements import Ledger, Measurement, as_text, measure_all
from benchmarks.lib.options import measurement_options
from mango_grader import SearchOptions, search
from mango_grader.errors import UsageError
from mango_grader.line import (
    Axes,
    Belt,
    Blob,
    Box,
    Camera,
    CropConfig,
    Frame,
    FruitGrader,
    GradingConfig,
    Sighting,
    cut,
)
from mango_grader.line.simulator import SimulatedBelt, SimulatorSettings
from mango_grader.runtime import Grader, Preprocess
from mango_grader.training.bootstrap import paired_difference
from mango_grader.workflow.run.folder import RunFolder

RISK = "risk:eps=0.05,delta=0.1"
FULL = "full"
WHOLE = CropConfig(margin=0, background="keep")
ALL = 1_000
ARMS: Mapping[str, tuple[str, int]] = {
    FULL: ("full", ALL),
    **{f"{policy}, all views": (policy, ALL) for policy in ("threshold", RISK, "budget:40%")},
    **{f"{policy}, 4 views": (policy, 4) for policy in ("threshold", RISK)},
    **{f"threshold:{confidence}, 1 view": (f"threshold:{confidence}", 1) for confidence in (0.8, 0.9, 0.95)},
    "exit:1": ("exit:1", ALL),
}
"""Exit policy and fewest views of each arm, by its name."""


@dataclass(frozen=True)
class Look:
    """One frame, its sightings, and the fruit that pass the decision line in it."""

    frame: Frame
    sightings: tuple[Sighting, ...]
    passing: tuple[int, ...]


@dataclass(frozen=True)
class Footage:
    """What all arms see, and the true class and the group of each fruit, by its number."""

    axes: Axes
    crops: CropConfig
    looks: Iterator[Look]
    truth: Mapping[int, tuple[str, str]]


@dataclass
class Tally:
    """What one arm did."""

    grader: FruitGrader
    correct: dict[int, bool] = field(default_factory=dict)
    views: int = 0
    stages: list[int] = field(default_factory=list)
    seconds: float = 0.0

    def take(self, look: Look, footage: Footage) -> None:
        """Grade what one frame shows, and answer the fruit that pass."""
        self.grader.look(look.frame, look.sightings)
        start = time.perf_counter()
        work = self.grader.work()
        answers = [self.grader.answer(fruit) for fruit in look.passing]
        self.seconds += time.perf_counter() - start
        for each in work.rounds:
            self.stages += [each.stage] * len(each.views)
        for answer in answers:
            self.correct[answer.fruit] = answer.grade == footage.truth[answer.fruit][0]
            self.views += answer.views
            self.grader.forget(answer.fruit)


@dataclass(frozen=True)
class Place:
    """What all measurements have in common, and where models are kept."""

    data: str | None
    group_by: str
    folds: int
    belts: int
    fruit: int
    train_fruit: int
    views: int
    fusion: str
    preset: str
    max_params: int
    settings: tuple[str, ...]
    work: str

    def measurements(self) -> list[Measurement]:
        """Return one measurement for each belt or fold."""
        if self.data is None:
            return [Measurement(f"belt {seed}", partial(measure_belt, seed, self)) for seed in range(1, self.belts + 1)]
        return [Measurement(f"fold {fold}", partial(measure_fold, fold, self)) for fold in range(1, self.folds + 1)]

    def model(self, name: str, data: str, **split: Any) -> RunFolder:
        """Return a finished run of the work folder, searched and trained first where it is missing."""
        run = RunFolder(Path(self.work, name))
        options = SearchOptions(
            data=data, method="random", preset=self.preset, max_params=self.max_params, seed=0, settings=self.settings,
            **split,
        )  # fmt: skip
        if not run.finished:
            search(run.path, options.config(), resume=run.path.exists())
        return run


def measure_belt(seed: int, place: Place) -> dict[str, Any]:
    """Return what every arm did on one simulated belt; seed 0 is the belt that the network learnt from."""
    crops = Path(place.work, "crops")
    if not (crops / "labels.csv").exists():
        write_crops(SimulatedBelt(settings_of(0, place.train_fruit)), crops)
    run = place.model("model", str(crops), group_by="fruit_id")
    belt = SimulatedBelt(settings_of(seed, place.fruit))
    truth = {one.number: (one.grade, str(one.number)) for one in belt.truth if one.grade is not None}
    return compare(run.model, Footage(belt.settings.axes, CropConfig(), belt_looks(belt), truth), place)


def settings_of(seed: int, fruit: int) -> SimulatorSettings:
    """Return a belt whose camera sees each fruit about eight times."""
    return SimulatorSettings(fruit=fruit, seed=seed, fps=4.5)


def belt_looks(belt: SimulatedBelt) -> Iterator[Look]:
    """Yield the frames of a simulated belt as a perfect finder and tracker see them."""
    passed = {one.number: one.passed_frame for one in belt.truth if one.is_fruit}
    for frame in belt.frames():
        shown = [one for one in belt.shown(frame.index) if one.number in passed]
        sightings = tuple(
            Sighting(one.number, frame.index, frame.time, one.blob, one.along, one.across) for one in shown
        )
        yield Look(frame, sightings, tuple(number for number, index in passed.items() if index == frame.index))


def write_crops(belt: SimulatedBelt, folder: Path) -> None:
    """Write every complete fruit of every frame, and their grades and fruit as labels.csv."""
    folder.mkdir(parents=True, exist_ok=True)
    grades = {one.number: one.grade for one in belt.truth}
    rows = []
    for frame in belt.frames():
        assert frame.image is not None
        for one in belt.shown(frame.index):
            if one.blob.complete and one.kind == "mango":
                name = f"{one.number:05d}_{frame.index:06d}.png"
                Image.fromarray(cut(frame.image, one.blob, CropConfig())).save(folder / name, compress_level=1)
                rows.append((name, grades[one.number], one.number))
    with (folder / "labels.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("image_id", "label", "fruit_id"), *rows])


def measure_fold(fold: int, place: Place) -> dict[str, Any]:
    """Return what every arm did with the fruit of one fold's test part that have several photos."""
    assert place.data is not None
    run = place.model(f"fold{fold}", place.data, group_by=place.group_by, fold=(fold, place.folds))
    photos: dict[str, list[dict[str, str]]] = {}
    for line in run.predictions.read_text(encoding="utf-8").splitlines():
        photo = json.loads(line)
        photos.setdefault(photo["group"], []).append(photo)
    several = [each for each in photos.values() if len(each) > 1 and len({one["label"] for one in each}) == 1]
    truth = {number: (each[0]["label"], each[0]["group"]) for number, each in enumerate(several, 1)}
    paths = [[str(Path(place.data, one["path"])) for one in each] for each in several]
    # Only positions along the belt count, of which each photo gets its own.
    axes = Axes(Camera(1000, 1000), Belt("right", decision_line=1000))
    return compare(run.model, Footage(axes, WHOLE, photo_looks(paths, place.views), truth), place)


def photo_looks(fruit: Sequence[Sequence[str]], views: int) -> Iterator[Look]:
    """Yield a frame for each photo, as if the photos of one fruit had been taken along a belt, fruit after fruit."""
    index = 0
    for number, paths in enumerate(fruit, 1):
        for place, path in enumerate(paths[:views]):
            image = np.asarray(Preprocess(64, 64).decode(path, exact=True).image)
            height, width = image.shape[:2]
            frame = Frame(index, float(index), image)
            blob = Blob(Box(0, 0, width, height), np.ones((height, width), bool), width / 2, height / 2, complete=True)
            along = 1000 * (place + 0.5) / views
            last = place == min(len(paths), views) - 1
            yield Look(frame, (Sighting(number, index, index, blob, along, 0.0),), (number,) if last else ())
            index += 1


def compare(model: Path, footage: Footage, place: Place) -> dict[str, Any]:
    """Return what every arm did with the same frames."""
    tallies: dict[str, Tally] = {}
    refused: dict[str, str] = {}
    for name, (policy, least) in ARMS.items():
        settings = GradingConfig(fusion=place.fusion, views=place.views, least_views=least)
        try:
            grader = Grader.load(model, "cpu", policy=policy, decide="argmax", check=not tallies)
        except UsageError as error:
            refused[name] = str(error)
            continue
        tallies[name] = Tally(FruitGrader(grader, footage.axes, footage.crops, settings))
    for number, look in enumerate(footage.looks):
        order = list(tallies.values())
        for tally in order[number % len(order) :] + order[: number % len(order)]:
            tally.take(look, footage)
    macs = np.diff([0, *(each.macs for each in tallies[FULL].grader.grader.manifest.exits)])
    graded = list(tallies[FULL].correct)
    return {
        "images": {str(fruit): footage.truth[fruit][1] for fruit in graded},
        "refused": refused,
        "arms": {
            name: {
                "correct": as_text(np.array([tally.correct[fruit] for fruit in graded])),
                "views": tally.views,
                "stages": np.bincount(tally.stages, minlength=len(macs) + 1)[1:].tolist(),
                "macs": float(macs[np.array(tally.stages) - 1].sum()),
                "seconds": tally.seconds,
            }
            for name, tally in tallies.items()
        },
    }


def summarise(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return a row for each arm, over all belts or folds."""
    parts = list(found.values())
    names = [name for name in ARMS if parts and all(name in part["arms"] for part in parts)]
    fruit = [f"{number} {group}" for number, part in enumerate(parts) for group in part["images"].values()]
    correct = {name: np.array([int(one) for part in parts for one in part["arms"][name]["correct"]]) for name in names}
    rows = []
    for name in names:
        arms = [part["arms"][name] for part in parts]
        whole = [part["arms"][FULL] for part in parts]
        shares = [own["seconds"] / full["seconds"] for own, full in zip(arms, whole, strict=True)]
        rows.append({
            "arm": name,
            "fruit": len(fruit),
            "accuracy": correct[name].mean(),
            "difference": asdict(paired_difference(correct[name], correct[FULL], fruit, seed=0)),
            "work": sum(own["macs"] for own in arms) / sum(full["macs"] for full in whole),
            "time": {"mean": np.mean(shares), "sd": np.std(shares, ddof=1) if len(shares) > 1 else None},
            "views": sum(own["views"] for own in arms) / len(fruit),
            "ms_per_fruit": 1e3 * sum(own["seconds"] for own in arms) / len(fruit),
        })  # fmt: skip
    return rows


@click.command()
@click.option("--data", help="Folder of graded photos, several of a fruit; without it, belts are simulated.")
@click.option("--group-by", default="groups.csv:fruit", show_default=True, help="Which photos show the same fruit.")
@click.option("--folds", type=click.IntRange(2), default=5, show_default=True, help="Of --data.")
@click.option("--belts", type=click.IntRange(1), default=3, show_default=True, help="Simulated belts to grade.")
@click.option("--fruit", type=click.IntRange(1), default=600, show_default=True, help="On each of these belts.")
@click.option("--train-fruit", type=click.IntRange(1), default=900, show_default=True, help="To learn from.")
@click.option("--views", type=click.IntRange(1), default=8, show_default=True, help="Most views of a fruit.")
@click.option("--fusion", default="evidence", show_default=True)
@click.option("--preset", default="quick", show_default=True)
@click.option("--max-params", default=350_000, show_default=True)
@click.option("--set", "settings", multiple=True, help="Settings of the searches.")
@click.option("--work", default="runs/line_anytime", show_default=True, help="Where models are kept.")
@measurement_options("line_anytime", minutes=60, jobs=1)
def main(minutes: float, jobs: int, resume: bool, out: Path, **options: Any) -> None:
    """Measure every belt or fold, write JSON and CSV, and print a short table."""
    place = Place(**options)
    setup = {key: value for key, value in asdict(place).items() if key != "work"}
    ledger = Ledger("line_anytime", out, {**setup, "method": "random", "seed": 0, "arms": ARMS}, summarise)
    ledger.open(resume)
    measure_all(ledger, place.measurements(), minutes, jobs)
    for row in ledger.save():
        gap = row["difference"]
        time_share = row["time"]["mean"]
        print(
            f"{row['arm']:<34}{100 * row['accuracy']:6.1f} %  {100 * gap['value']:+5.1f} ({100 * gap['low']:+.1f} to"
            f" {100 * gap['high']:+.1f}) points  work {100 * row['work']:5.1f} %  time {100 * time_share:5.1f} %"
            f"  {row['views']:.1f} views  {row['ms_per_fruit']:.2f} ms a fruit"
        )


if __name__ == "__main__":
    main()
