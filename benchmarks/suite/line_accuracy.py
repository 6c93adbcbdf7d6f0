"""Is every fruit counted once, followed under one number, and graded better than from its best single view?

    python -m benchmarks.suite.line_accuracy --work runs/line_accuracy

A measurement is one simulated belt, through the whole line: frames, the finder with the palette of the empty belt, the
tracker, the model, fusion, decisions. The truth joins decisions by lane and by how far the belt had moved when the
fruit passed: at most 0.4 lengths of a fruit away, one to one. A switch is a fruit whose number differs from the number
that it had in the frame before that shows it. "At a stop" are the fruit that lie within half a length of the entry or
of the decision line while the belt stands or moves back.

The model is searched and trained on what `conveyor crops` cuts from three belts of other seeds and other surfaces; a
view's label is the grade of its whole fruit. The best single view is that view index, along the belt, which alone is
correct most often; it is chosen on the very fruit that it is tested on, in its own favour.

Time: 45 minutes on one core to make and train, 8 minutes a belt. Hardware: 2 CPU cores. n: 3 belts of 2,000 fruit.
"""

import csv
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np
from scipy.optimize import linear_sum_assignment

from benchmarks.lib.measurements import Ledger, Measurement, as_text, measure_all
from benchmarks.lib.options import measurement_options
from mango_grader import SearchOptions, search
from mango_grader.line import Decision, Frame, Line, LineConfig, Sighting, cut
from mango_grader.line.crop_set import CropSetOptions, View, Views, write_crops
from mango_grader.line.known_grades import KnownGrades
from mango_grader.line.simulator import Change, SimulatedBelt, SimulatorSettings, Truth, line_config
from mango_grader.line.simulator.settings import Texture
from mango_grader.runtime import Grader
from mango_grader.training.bootstrap import paired_difference
from mango_grader.workflow.run.folder import RunFolder

VIEWS = 6
NEAR = 0.4  # lengths of a fruit within which a decision or a sighting is that of a fruit
SURFACES: tuple[Texture, ...] = ("mesh", "rollers", "ribs")
STOPS = (Change(6.0, 1.5, 0.0, every=17.0), Change(13.0, 0.6, -0.5, every=34.0))
FIRST_TRAINING_SEED = 101


@dataclass(frozen=True)
class Place:
    """What all measurements have in common, and where models are kept."""

    belts: int
    fruit: int
    train_fruit: int
    size: int
    settings: tuple[str, ...]
    work: str

    def measurements(self) -> list[Measurement]:
        """Return one measurement for each belt."""
        return [Measurement(f"belt {seed}", partial(measure_belt, seed, self)) for seed in range(1, self.belts + 1)]

    def model(self) -> RunFolder:
        """Return the run that learnt from the crops of other belts, searched and trained where it is missing."""
        run = RunFolder(Path(self.work, "model"))
        if not run.finished:
            crops = Path(self.work, "crops")
            write_training_crops(crops, self.train_fruit)
            options = SearchOptions(
                data=str(crops / "labels.csv"), group_by="fruit_id", method="random", preset="quick", seed=0,
                size=(self.size, self.size), settings=self.settings,
            )  # fmt: skip
            search(run.path, options.config(), resume=run.path.exists())
        return run


def settings_of(seed: int, fruit: int) -> SimulatorSettings:
    """Return a belt of two lanes with touching fruit, stops and reversals; its surface differs from seed to seed."""
    return SimulatorSettings(
        fruit=fruit, seed=seed, texture=SURFACES[(seed - 1) % len(SURFACES)], fps=15.0, speed=450.0, touching=0.25,
        roll_steps=16, speed_changes=STOPS,
    )  # fmt: skip


def write_training_crops(folder: Path, fruit: int) -> None:
    """Write the crops of three belts to one data folder."""
    rows: list[dict[str, str]] = []
    for number in range(len(SURFACES)):
        seed = FIRST_TRAINING_SEED + number
        belt = SimulatedBelt(settings_of(seed, fruit))
        part = folder / f"belt{seed}"
        options = CropSetOptions(views=VIEWS, lot=str(seed))
        write_crops(belt, line_config(belt), part, grades=grades_of(belt), options=options)
        table = part / "labels.csv"
        with table.open(encoding="utf-8", newline="") as file:
            rows += [
                {**row, "image_id": f"{part.name}/{row['image_id']}"} for row in csv.DictReader(file) if row["label"]
            ]
        table.rename(part / "labels.kept")  # One table labels them all.
    with (folder / "labels.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def grades_of(belt: SimulatedBelt) -> KnownGrades:
    """Return the grades of a belt's fruit by lane and time."""
    lanes: dict[int, list[tuple[float, str]]] = {}
    for one in belt.truth:
        if one.passed_time is not None:
            lanes.setdefault(one.lane, []).append((one.passed_time, one.grade or ""))
    return KnownGrades(by_lane={lane: sorted(found) for lane, found in lanes.items()})


@dataclass
class Watch:
    """Follows which number each fruit has in each frame, and keeps views of each number.

    Attributes:
        belt: that is watched.
        config: of the line.
        numbers: number under which each fruit was followed last.
        switches: number of times that it changed.
        views: of each number that is on its way, as `conveyor crops` keeps them.
        chosen: views of each number that was decided.
    """

    belt: SimulatedBelt
    config: LineConfig
    numbers: dict[int, int] = field(default_factory=dict)
    switches: int = 0
    views: dict[int, Views] = field(default_factory=dict)
    chosen: dict[int, list[View]] = field(default_factory=dict)

    def see(self, frame: Frame, sightings: Sequence[Sighting], decisions: Sequence[Decision]) -> None:
        """Take in one frame."""
        assert frame.image is not None
        near = NEAR * self.belt.settings.length_px
        found: dict[int, list[tuple[bool, float, int]]] = {}
        places = self.belt.places(frame.index)
        for sighting in sightings:
            for fruit, (along, across) in places.items():
                away = float(np.hypot(along - sighting.along, across - sighting.across))
                if away < near:
                    changed = self.numbers.get(fruit) != sighting.fruit
                    found.setdefault(fruit, []).append((changed, away, sighting.fruit))
            self._keep(frame, sighting)
        for fruit, candidates in found.items():
            number = min(candidates)[2]
            self.switches += self.numbers.get(fruit, number) != number
            self.numbers[fruit] = number
        for decision in decisions:
            if decision.fruit in self.views:
                self.chosen[decision.fruit] = self.views.pop(decision.fruit).chosen()

    def _keep(self, frame: Frame, sighting: Sighting) -> None:
        axes = self.config.axes
        line = axes.decision_line(axes.lane(sighting.across))
        views = self.views.setdefault(sighting.fruit, Views(VIEWS, line / (3 * VIEWS)))
        if frame.image is not None and sighting.along <= line and views.wants(sighting):
            image = cut(frame.image, sighting.blob, self.config.crops)
            views.candidates.append(View(frame.index, sighting.along, image))


def measure_belt(seed: int, place: Place) -> dict[str, Any]:
    """Return what the line made of one belt."""
    model = place.model().model
    belt = SimulatedBelt(settings_of(seed, place.fruit))
    config = line_config(belt)
    grader = Grader.load(model, "cpu")
    watch = Watch(belt, config)
    decisions = [one for one in Line(belt, grader, config, observers=[watch]) if one.counted]
    fruit = [one for one in belt.truth if one.is_fruit and one.status == "decided"]
    pairs = matched(belt, fruit, decisions)
    singles = single_answers(Grader.load(model, "cpu", policy="full", check=False), watch, decisions)
    stops = at_stops(belt, fruit)
    joined = {one.number: decisions[place] for one, place in pairs}
    graded = [one for one, _ in pairs]
    alone = np.array([[singles[joined[one.number].fruit][n] == one.grade for n in range(VIEWS)] for one in graded])
    return {
        "images": {str(one.number): f"{seed}-{one.number}" for one in graded},
        "fruit": len(fruit),
        "touching": sum(one.touching for one in fruit),
        "frames": len(belt),
        "once": len(pairs),
        "extra": len(decisions) - len(pairs),
        "switches": watch.switches,
        "at_stops": len(stops),
        "at_stops_once": sum(number in joined for number in stops),
        "correct": as_text(np.array([joined[one.number].grade == one.grade for one in graded])),
        "single": [as_text(alone[:, n]) for n in range(VIEWS)],
        "views": float(np.mean([joined[one.number].views for one in graded])),
        "grades": Counter(one.grade for one in fruit),
    }


def matched(belt: SimulatedBelt, fruit: Sequence[Truth], decisions: Sequence[Decision]) -> list[tuple[Truth, int]]:
    """Return each fruit that a decision is of, and the decision's place; one to one, the nearest together."""
    moved = np.array([belt.displacement(one.decided_time) for one in decisions])
    lanes = np.array([one.lane for one in decisions])
    near = NEAR * belt.settings.length_px
    pairs: list[tuple[Truth, int]] = []
    for lane in range(1, belt.settings.lanes + 1):
        own = [one for one in fruit if one.lane == lane and one.passed_time is not None]
        places = np.flatnonzero(lanes == lane)
        if not own or not len(places):
            continue
        passed = np.array([belt.displacement(one.passed_time or 0.0) for one in own])
        away = np.abs(np.subtract.outer(passed, moved[places]))
        rows, columns = linear_sum_assignment(np.where(away <= near, away, 1e6))
        pairs += [
            (own[row], int(places[column]))
            for row, column in zip(rows, columns, strict=True)
            if away[row, column] <= near
        ]
    return pairs


def single_answers(grader: Grader, watch: Watch, decisions: Sequence[Decision]) -> dict[int, list[str | None]]:
    """Return the grade of each view alone, by the fruit's number on the line; None where there is no such view."""
    answers: dict[int, list[str | None]] = {}
    for decision in decisions:
        views = watch.chosen.get(decision.fruit, [])
        grades: list[str | None] = [record.grade for record in grader.grade_many([view.image for view in views])]
        answers[decision.fruit] = (grades + [None] * VIEWS)[:VIEWS]
    return answers


def at_stops(belt: SimulatedBelt, fruit: Sequence[Truth]) -> set[int]:
    """Return the fruit that lie on the entry or the decision line while the belt stands or moves back."""
    half = belt.settings.length_px / 2
    known = {one.number: belt.settings.axes.decision_line(one.lane) for one in fruit}
    found: set[int] = set()
    for before, index in zip(belt.indices, belt.indices[1:], strict=False):
        moved = belt.displacement(belt.moment(index)[0]) - belt.displacement(belt.moment(before)[0])
        if moved < 0.5:
            for number, (along, _) in belt.places(index).items():
                if number in known and (along < half or abs(along - known[number]) < half):
                    found.add(number)
    return found


def summarise(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return one row: counts over all belts, and accuracies as mean and sd over belts."""
    parts = list(found.values())
    if not parts:
        return []
    total = {
        name: sum(part[name] for part in parts)
        for name in ("fruit", "touching", "once", "extra", "switches", "at_stops", "at_stops_once")
    }
    names = [name for part in parts for name in part["images"].values()]
    fused = np.array([int(one) for part in parts for one in part["correct"]])
    single = np.array([[int(one) for part in parts for one in part["single"][n]] for n in range(VIEWS)])
    best = int(single.mean(axis=1).argmax())
    by_belt = [np.mean([int(one) for one in part["correct"]]) for part in parts]
    sd = partial(np.std, ddof=1) if len(parts) > 1 else (lambda _: None)
    return [{
        **total,
        "belts": len(parts),
        "counted_once": total["once"] / total["fruit"],
        "switch_share": total["switches"] / total["fruit"],
        "fused": {"mean": np.mean(by_belt), "sd": sd(by_belt)},
        "single": single.mean(axis=1).tolist(),
        "best_single": best + 1,
        "gain": asdict(paired_difference(fused, single[best], names, seed=0)),
        "views": np.mean([part["views"] for part in parts]),
    }]  # fmt: skip


@click.command()
@click.option("--belts", type=click.IntRange(1), default=3, show_default=True, help="Simulated belts, one per seed.")
@click.option("--fruit", type=click.IntRange(1), default=2000, show_default=True, help="On each of these belts.")
@click.option("--train-fruit", type=click.IntRange(1), default=320, show_default=True, help="On each of three others.")
@click.option("--size", type=click.IntRange(8), default=96, show_default=True, help="Pixels of the network's input.")
@click.option("--set", "settings", multiple=True, help="Settings of the search.")
@click.option("--work", default="runs/line_accuracy", show_default=True, help="Where crops and the model are kept.")
@measurement_options("line_accuracy", minutes=90, jobs=1)
def main(minutes: float, jobs: int, resume: bool, out: Path, **options: Any) -> None:
    """Measure every belt, write JSON and CSV, and print the figures."""
    place = Place(**options)
    place.model()  # Once, before belts are measured side by side.
    setup = {key: value for key, value in asdict(place).items() if key != "work"}
    belt = asdict(settings_of(1, place.fruit))
    ledger = Ledger("line_accuracy", out, {**setup, "near": NEAR, "views": VIEWS, "belt": belt}, summarise)
    ledger.open(resume)
    measure_all(ledger, place.measurements(), minutes, jobs)
    for row in ledger.save():
        gain = row["gain"]
        print(f"{row['belts']} belts, {row['fruit']} fruit, {row['touching']} of them touching")
        print(f"counted once {row['counted_once']:.2%}, {row['extra']} decisions too many")
        print(f"switches {row['switches']} ({row['switch_share']:.2%} of the fruit)")
        print(f"at a stop {row['at_stops_once']} of {row['at_stops']} counted once")
        print(
            f"fused {row['fused']['mean']:.1%}, best single view ({row['best_single']} of {VIEWS})"
            f" {row['single'][row['best_single'] - 1]:.1%}: {100 * gain['value']:+.1f} points"
            f" ({100 * gain['low']:+.1f} to {100 * gain['high']:+.1f})"
        )


if __name__ == "__main__":
    main()
