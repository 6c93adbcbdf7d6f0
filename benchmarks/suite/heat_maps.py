"""Do heat maps point at lesions? The pointing game on synthetic mangoes, whose lesions are known to the pixel.

    python -m benchmarks.suite.heat_maps --network search --network mobilenet_v3_small

A network is trained on mangoes of the demo's backgrounds, by `search` or `train`; or a run of either is taken. Then the
peak of each heat map is compared with the true mask: it hits where it lies within one feature cell of a lesion, in
either direction. All B and C fruit count, whatever was answered. Beside it stand a random point of the fruit, the
centre of the image, and the peak of another fruit's map. Which map is shown was chosen on validation fruit (another
seed, the same backgrounds); test fruit have a third seed and other backgrounds. The pointing game: Zhang et al.,
"Top-down Neural Attention by Excitation Backprop", ECCV 2016, §4.1.

Time: a quarter of an hour a network. Hardware: 1 CPU core. n: 600 fruit of grades B and C.
"""

import itertools
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from benchmarks.lib.measurements import Ledger, Measurement, measure_all
from benchmarks.lib.options import measurement_options
from mango_grader.files import read_json
from mango_grader.models.baselines import BASELINES
from mango_grader.runtime import Grader
from mango_grader.runtime.inference.heat_map import HeatMap, contrast
from mango_grader.synthetic import Series, write_synthetic
from mango_grader.workflow.demo import NEXT_SEASON, SEASON
from mango_grader.workflow.options import SearchOptions, TrainOptions
from mango_grader.workflow.search import search
from mango_grader.workflow.train import train

Array = NDArray[np.float32]
SEARCH = "search"
MAPS: Mapping[str, Callable[[Array, int], Array]] = {
    "grade_against_others": contrast,
    "grade_alone": lambda maps, answer: maps[answer],
    "grade_against_next": lambda maps, answer: maps[answer] - _next(maps, answer),
    "grade_against_healthy": lambda maps, answer: maps[answer] - maps[0],
    "grade_against_least_there": lambda maps, answer: maps[answer] - np.delete(maps, answer, axis=0).min(axis=0),
}
"""What a map may show, from all classes' maps (C, h, w); the first is what the product shows.

Its mean is the answer, as are those of the next two. The fourth needs to know the healthy grade, and the mean of the
last is no answer of the network.
"""


BESIDE = ("random_point", "centre", "map_of_another")


def measure(network: str, fruit: int, tested: int, size: int, training: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """Train a network and return how often its peaks hit, by part and exit."""
    with tempfile.TemporaryDirectory() as folder:
        data, out = Path(folder, "mangoes"), Path(folder, "run")
        write_synthetic(data, fruit, Series(seed, backgrounds=SEASON), workers=1)
        options = {"data": str(data), "group_by": "fruit_id", "size": (size, size), "seed": seed, **training}
        if network == SEARCH:
            search(out, SearchOptions(**options).config())
        else:
            train(out, TrainOptions(**options, baseline=network).config())
        return measure_run(out, tested, seed)


def measure_run(run: Path, tested: int, seed: int) -> dict[str, Any]:
    """Return how often the peaks of a finished run hit, by part and exit."""
    grader, plan = Grader.load(run, "cpu"), read_json(run / "plan.json")
    parts = {
        "validation": Series(seed + 1001, backgrounds=SEASON),
        "test": Series(seed + 1002, backgrounds=NEXT_SEASON),
    }
    return {
        "epochs": plan["epochs"],
        "policy": str(grader.policy),
        "macs": [info.macs for info in grader.manifest.exits],
        **{part: played(grader, with_lesions(series, tested), seed) for part, series in parts.items()},
    }


@dataclass(frozen=True, eq=False)
class Marked:
    """An image of a fruit (H, W, 3) with its grade, and where its lesions and the fruit itself are, (H, W)."""

    image: NDArray[np.uint8]
    grade: str
    lesions: NDArray[np.bool_]
    outline: NDArray[np.bool_]


def with_lesions(series: Series, count: int) -> list[Marked]:
    """Return the first fruit of a series whose grade is B or C."""
    drawn = (series.at(number) for number in itertools.count())
    kept = (Marked(one.image, one.grade, one.mask > 0, one.outline) for one in drawn if one.grade != "A")
    return list(itertools.islice(kept, count))


def played(grader: Grader, fruit: list[Marked], seed: int) -> dict[str, Any]:
    """Return the shares of hits: of every exit's maps, and of the maps of the exits that answered."""
    pixels = np.stack([grader.manifest.preprocess(one.image) for one in fruit])
    classes, rng = grader.manifest.classes, np.random.default_rng(seed)
    points = [_random_point(one, rng) for one in fruit]
    exits = []
    for number in range(1, len(grader.manifest.exits) + 1):
        maps = np.concatenate([grader.heat_maps.class_maps(each[None], number) for each in pixels])
        answers = maps.mean(axis=(2, 3)).argmax(axis=1)
        cells = maps.shape[2:]
        peaks = {
            name: [_peak(show(each, answer)) for each, answer in zip(maps, answers.tolist(), strict=True)]
            for name, show in MAPS.items()
        }
        shown = peaks["grade_against_others"]
        others = dict(zip(BESIDE, (points, [(0.5, 0.5)] * len(fruit), shown[1:] + shown[:1]), strict=True))
        correct = [classes[answer] == one.grade for answer, one in zip(answers.tolist(), fruit, strict=True)]
        exits.append(
            {"cells": cells, "accuracy": float(np.mean(correct))}
            | {name: share_of_hits(fruit, found, cells) for name, found in (peaks | others).items()}
            | {"by_grade": {g: _of_grade(fruit, shown, cells, g) for g in "BC"}}
        )
    return {"n": len(fruit), "exits": exits, "answered": _answered(grader, fruit)}


def share_of_hits(fruit: list[Marked], points: list[tuple[float, float]], cells: tuple[int, ...]) -> float:
    """Return the share of points (x, y), each in 0..1, within one cell of a map of `cells` (h, w) from a lesion."""
    return float(np.mean([_hits(one, point, cells) for one, point in zip(fruit, points, strict=True)]))


def _hits(fruit: Marked, point: tuple[float, float], cells: tuple[int, ...]) -> bool:
    (rows, columns), (height, width) = np.nonzero(fruit.lesions), fruit.lesions.shape
    across = np.abs((columns + 0.5) / width - point[0]) * cells[1]
    along = np.abs((rows + 0.5) / height - point[1]) * cells[0]
    return bool((np.maximum(across, along) <= 1).any())


def _of_grade(fruit: list[Marked], points: list[tuple[float, float]], cells: tuple[int, ...], grade: str) -> float:
    chosen = [(one, point) for one, point in zip(fruit, points, strict=True) if one.grade == grade]
    return share_of_hits([one for one, _ in chosen], [point for _, point in chosen], cells)


def _answered(grader: Grader, fruit: list[Marked]) -> dict[str, Any]:
    """Return the share of hits of `Grader.explain`, under the model's own exit policy, and of which exits it is."""
    records = [grader.grade(one.image) for one in fruit]
    found = [grader.explain(one.image, record) for one, record in zip(fruit, records, strict=True)]
    hits = [_hits(one, each.peak, each.values.shape) for one, each in zip(fruit, found, strict=True)]
    counts = np.bincount([each.exit for each in found], minlength=len(grader.manifest.exits) + 1)[1:]
    return {"hits": float(np.mean(hits)), "exits": counts.tolist()}


def _peak(values: Array) -> tuple[float, float]:
    return HeatMap(values, "", 1).peak


def _next(maps: Array, answer: int) -> Array:
    """Return the map of the class that comes next after the answer."""
    means = maps.mean(axis=(1, 2))
    means[answer] = -np.inf
    return np.asarray(maps[int(means.argmax())], np.float32)


def _random_point(fruit: Marked, rng: np.random.Generator) -> tuple[float, float]:
    (rows, columns), (height, width) = np.nonzero(fruit.outline), fruit.outline.shape
    place = int(rng.integers(len(rows)))
    return (columns[place] + 0.5) / width, (rows[place] + 0.5) / height


def summarise(figures: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return a row for each network, part and exit, and one for the exits that answered under the exit policy."""
    rows = []
    for name, each in figures.items():
        for part in ("validation", "test"):
            head = {"network": name, "epochs": each["epochs"], "part": part, "n": each[part]["n"]}
            for number, (macs, row) in enumerate(zip(each["macs"], each[part]["exits"], strict=True), start=1):
                rows.append({**head, "exit": f"exit {number}", "macs": macs, **row})
            rows.append({**head, "exit": each["policy"], "grade_against_others": each[part]["answered"]["hits"]})
    return rows


@click.command()
@click.option("--network", "networks", multiple=True, type=click.Choice([SEARCH, *BASELINES]), help="To train.")
@click.option("--run", "runs", multiple=True, type=click.Path(exists=True, path_type=Path), help="A finished run.")
@click.option("--fruit", default=1500, show_default=True, help="Mangoes to train on.")
@click.option("--tested", default=600, show_default=True, help="Mangoes of grades B and C, of each part.")
@click.option("--size", default=128, show_default=True, help="Pixels of either side.")
@click.option("--budget", default=12.0, show_default=True, help="Minutes of a network's training, 0 for any number.")
@click.option("--epochs", default=0, show_default=True, help="Of training; 0 takes the preset's.")
@click.option("--seed", default=0, show_default=True)
@measurement_options("heat_maps", minutes=60)
def main(
    networks: tuple[str, ...],
    runs: tuple[Path, ...],
    fruit: int,
    tested: int,
    size: int,
    budget: float,
    epochs: int,
    seed: int,
    minutes: float,
    jobs: int,
    resume: bool,
    out: Path,
) -> None:
    asked = {"fruit": fruit, "tested": tested, "size": size, "budget_minutes": budget, "epochs": epochs, "seed": seed}
    ledger = Ledger("heat_maps", out, asked, summarise)
    ledger.open(resume)
    training = {
        "budget": 60 * budget if budget else None,
        "settings": (f"train.epochs={epochs}",) if epochs else (),
    }
    measurements = [Measurement(f"run {run.name}", partial(measure_run, run, tested, seed)) for run in runs] + [
        Measurement(name, partial(measure, name, fruit, tested, size, training, seed))
        for name in networks or ([] if runs else [SEARCH])
    ]
    measure_all(ledger, measurements, minutes, jobs)
    for row in ledger.save():
        beside = "".join(f"  {name} {100 * row[name]:.1f} %" for name in BESIDE if name in row)
        hits = f"{100 * row['grade_against_others']:.1f} %"
        click.echo(f"{row['network']:20} {row['part']:10} {row['exit']:10}  n = {row['n']}  hits {hits}{beside}")


if __name__ == "__main__":
    main()
