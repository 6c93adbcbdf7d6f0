"""How well pretrained networks tell the fruit apart without fine-tuning: what is learned from frozen features.

    make bench-frozen_features      (makes the environment of foreign peers, .peers/venv, first)
    python -m benchmarks.suite.frozen_features --data ../shared/data/mango_lesions

It bounds what a larger teacher could tell, and what more graded images are worth; and it has the peers that MNet is
compared with, support vector machines that fuse networks. A measurement is one or more of EfficientNet-Lite 0 to 2,
each at a size, with ImageNet weights, and what learns from them: from a fold's training images, and again from its
validation images too. Settings are chosen among the images that are learned from. Accuracy is pooled over the folds,
each image tested once; intervals and differences come from a bootstrap over groups, paired by image. Where the default
search was measured on the same folds (search_pays.json), what it gains is told as well.

Time: 15 minutes. Hardware: 1 CPU core. n: 676 images of 566 fruit.
"""

import os
import subprocess
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.lib.compared import answers_of
from benchmarks.lib.fusion import Answers, Examples, fused_decisions, fused_features, regression
from benchmarks.lib.holm import correct_by_holm
from benchmarks.lib.measurements import (
    RESULTS,
    Ledger,
    Measurement,
    MeasurementFailedError,
    as_text,
    figures_of,
    measure_all,
)
from benchmarks.lib.options import fold_options, measurement_options
from benchmarks.lib.peers.catalogue import PYTHON, SCRIPTS
from benchmarks.lib.plots import draw_intervals
from benchmarks.suite.search_pays import DEFAULT
from mango_grader import SearchOptions
from mango_grader.files import read_json
from mango_grader.progress import SilentProgress
from mango_grader.training.bootstrap import GroupBootstrap, paired_difference
from mango_grader.workflow.run.data import PreparedData, prepare
from mango_grader.workflow.run.folder import RunFolder


@dataclass(frozen=True)
class Scale:
    """Which images, and how they are split."""

    data: str
    group_by: str
    folds: int
    split_seed: int

    def prepared(self, fold: int, size: int, work: Path) -> PreparedData:
        """Return a fold with all images at `size`."""
        options = SearchOptions(
            data=self.data,
            group_by=self.group_by,
            fold=(fold, self.folds),
            split_seed=self.split_seed,
            size=(size, size),
        )
        folder = RunFolder(work / f"{size}-pixels" / f"fold-{fold}")
        folder.path.mkdir(parents=True, exist_ok=True)
        return prepare(options.config().data, folder, SilentProgress())


@dataclass(frozen=True)
class Seen:
    """EfficientNet-Lite`number` on images of `size` × `size`."""

    number: int
    size: int

    def __str__(self) -> str:
        return f"lite{self.number} at {self.size}"


@dataclass(frozen=True)
class Frozen:
    """Frozen networks, and what learns from their features."""

    networks: tuple[Seen, ...]
    learn: Callable[[Examples], Answers] = regression


FRUIT, OWN = 128, {0: 224, 1: 240, 2: 260}  # pixels: as our networks see the fruit; as the published ones were made
USUAL = str(Seen(0, FRUIT))
_ALL = {
    f"all at {FRUIT}": tuple(Seen(number, FRUIT) for number in OWN),
    "all at their own": tuple(Seen(number, size) for number, size in OWN.items()),
}
_ONE = {str(seen): (seen,) for seen in (Seen(0, FRUIT), *_ALL["all at their own"])}
COMPARED = {
    **{name: Frozen(networks) for name, networks in (_ONE | _ALL).items()},
    **{f"SVM, {name}": Frozen(networks, fused_features) for name, networks in _ONE.items()},
    **{f"SVM, features of {name}": Frozen(networks, fused_features) for name, networks in _ALL.items()},
    **{f"SVM, decisions of {name}": Frozen(networks, fused_decisions) for name, networks in _ALL.items()},
}
PARTS = ("train", "train and validation")


def features_of(seen: Seen, images: NDArray[np.uint8], python: Path, work: Path) -> NDArray[np.float32]:
    """Return (N, 1280), from the peers' environment; raises MeasurementFailedError with the end of what it printed."""
    work.mkdir(parents=True, exist_ok=True)
    given, out = work / "images.npy", work / "features.npy"
    np.save(given, images)
    command = [str(python), str(SCRIPTS / "frozen_features.py"), str(given), str(out), f"--network={seen.number}"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise MeasurementFailedError(done.stderr[-600:])
    found: NDArray[np.float32] = np.load(out)
    return found


def measure(name: str, scale: Scale, python: Path, work: Path) -> dict[str, Any]:
    """Return which test images are answered correctly ("1"), by what was learned from, and which mistakes are made."""
    torch.set_num_threads(1)
    own, frozen = work / name.replace(" ", "-"), COMPARED[name]
    features = [
        features_of(seen, np.asarray(scale.prepared(1, seen.size, own).packed.images), python, own)
        for seen in frozen.networks
    ]
    correct = dict.fromkeys(PARTS, "")
    mistakes: Counter[str] = Counter()
    images: dict[str, str] = {}
    for fold in range(1, scale.folds + 1):
        data = scale.prepared(fold, frozen.networks[0].size, own)
        classes, labels, tested = data.dataset.classes, data.test.targets, [each[data.test.rows] for each in features]
        for part, learned in zip(PARTS, (data.train, data.with_val().train), strict=True):
            given = [each[learned.rows] for each in features]
            answer = frozen.learn(
                Examples(given, learned.targets, data.groups(learned), len(classes), scale.split_seed)
            )
            answers = answer(tested)
            correct[part] += as_text(answers == labels)
            if part == PARTS[0]:
                wrong = np.flatnonzero(answers != labels)
                mistakes.update(" or ".join(sorted((classes[labels[at]], classes[answers[at]]))) for at in wrong)
        images |= zip(data.paths(data.test), data.groups(data.test), strict=True)
    return {"images": images, "correct": correct, "mistakes": dict(mistakes.most_common())}


def searched_answers(path: Path, setup: Mapping[str, Any]) -> dict[str, bool]:
    """Return which images the default search answers correctly, by path; none where it was split in another way."""
    if not path.exists():
        return {}
    kept = read_json(path)
    if any(kept["setup"].get(name) != value for name, value in setup.items()):
        return {}
    return {image: exits[-1] for image, (_, exits) in answers_of(DEFAULT, figures_of(kept)).items()}


def summary(search: Mapping[str, bool], figures: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the accuracy of each, its gains, and what the default search gains on it, by Holm's method for all."""
    usual = figures.get(USUAL)
    rows: list[dict[str, Any]] = []
    for name in (each for each in COMPARED if each in figures):
        found = figures[name]
        groups = list(found["images"].values())
        learned, more = (_marks(found["correct"][part]) for part in PARTS)
        counted = np.stack([learned, np.ones_like(learned)], axis=1)
        gain = partial(paired_difference, groups=groups, seed=0)
        default = (
            np.array([search[image] for image in found["images"]]) if found["images"].keys() <= search.keys() else None
        )
        rows.append(
            {
                "name": name,
                "n": len(groups),
                "accuracy": asdict(
                    GroupBootstrap(groups, seed=0).estimate(counted, lambda sums: sums[:, 0] / sums[:, 1])
                ),
                "with_validation": float(more.mean()),
                "gain_of_validation": asdict(gain(more, learned)),
                "gain_on_usual": asdict(gain(learned, _marks(usual["correct"][PARTS[0]]))) if usual else None,
                "default_gains": None if default is None else asdict(gain(default, learned)),
                "mistakes": found["mistakes"],
            }
        )
    correct_by_holm([row["default_gains"] for row in rows if row["default_gains"]])
    return rows


def _marks(correct: str) -> NDArray[np.bool_]:
    return np.array([letter == "1" for letter in correct])


@click.command()
@fold_options
@click.option("--split-seed", type=click.IntRange(0), default=0, show_default=True)
@click.option("--name", "names", multiple=True, type=click.Choice(list(COMPARED)), help="Only these; all unless named.")
@click.option(
    "--python", type=click.Path(path_type=Path), default=PYTHON, help="Interpreter of the peers' environment."
)
@click.option(
    "--searched",
    type=click.Path(path_type=Path),
    default=RESULTS / "search_pays.json",
    help="The JSON file of search_pays.",
)
@click.option("--work", type=click.Path(path_type=Path), default=Path("runs/frozen_features"), show_default=True)
@measurement_options("frozen_features", minutes=60)
def main(
    names: tuple[str, ...],
    python: Path,
    searched: Path,
    work: Path,
    minutes: float,
    jobs: int,
    resume: bool,
    out: Path,
    **scale_options: Any,
) -> None:
    """Measure each, write the JSON, draw and print a table."""
    scale = Scale(**scale_options)
    search = searched_answers(searched, asdict(scale))
    ledger = Ledger("frozen_features", out, asdict(scale), partial(summary, search))
    ledger.open(resume)
    measurements = [Measurement(name, partial(measure, name, scale, python, work)) for name in names or COMPARED]
    measure_all(ledger, measurements, minutes, jobs)
    rows = ledger.save()
    label = "test accuracy of what learns from frozen features, %, pooled, with its 95 % interval over groups"
    draw_intervals([row["name"] for row in rows], [row["accuracy"] for row in rows], label, out.with_suffix(".png"))
    for row in rows:
        found, default = row["accuracy"], row["default_gains"]
        gained = "" if default is None else "; the default search gains " + _as_points(default, "p_holm")
        click.echo(
            f"{row['name']:36}{100 * found['value']:5.1f} % ({100 * found['low']:.1f} to {100 * found['high']:.1f}), "
            f"with validation images {_as_points(row['gain_of_validation'], 'p')}{gained}"
        )


def _as_points(gain: Mapping[str, float], p: str) -> str:
    value, low, high = (100 * gain[name] for name in ("value", "low", "high"))
    return f"{value:+.1f} ({low:+.1f} to {high:+.1f}), p = {gain[p]:.3f}"


if __name__ == "__main__":
    main()
