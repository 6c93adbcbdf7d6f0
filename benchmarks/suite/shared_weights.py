"""What the networks of the space `lite` score with a super net's weights, by how these were trained, after equal time.

    python -m benchmarks.suite.shared_weights [--resume]

Each arm trains the weights of one super net for the same seconds of one core, as `random` in the preset quick does. Ten
networks, the same for all arms, are then scored on images that the weights have not seen: validation accuracy and
cross entropy of their last exit, with BatchNorm's statistics of the validation images. The smallest and the largest
network are listed beside them.

Time: 25 minutes. Hardware: 2 CPU cores. n: 3 seeds, each with a fold of its own.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from scipy.special import log_softmax

from benchmarks.lib.measurements import Ledger, Measurement, measure_all
from benchmarks.lib.options import measurement_options
from benchmarks.lib.studies.claims import paired_row
from benchmarks.lib.studies.data import PARTS, Fruit
from mango_grader.automl.architecture import Architecture
from mango_grader.automl.evaluate import SearchProblem
from mango_grader.automl.sandwich import SandwichRule, extremes
from mango_grader.automl.search import Search, build_search
from mango_grader.automl.search_space import SearchSpace
from mango_grader.automl.shared import SearchData
from mango_grader.automl.supernet import gates_of
from mango_grader.models import FromBytes
from mango_grader.models.imagenet import EFFICIENTNET_LITE0
from mango_grader.training.batch_norm import batch_statistics
from mango_grader.training.batches import Batches
from mango_grader.training.device import Device
from mango_grader.training.losses import AnytimeLoss
from mango_grader.workflow.presets import PRESETS
from mango_grader.workflow.run.data import PreparedData, make_augmenter
from mango_grader.workflow.run.weights import load_matching

NETWORKS = 10
_TIMED = 4  # steps that tell how many there is time for


@dataclass(frozen=True)
class Arm:
    """A way to train shared weights. pretrained: from ImageNet. elastic: a block's candidates share their weights."""

    pretrained: bool = True
    elastic: bool = True
    rule: SandwichRule = SandwichRule()


ARMS = {
    "before": Arm(pretrained=False, elastic=False),
    "ImageNet": Arm(elastic=False),
    "ImageNet, elastic": Arm(),
    "ImageNet, elastic, sandwich": Arm(rule=SandwichRule(drawn=2)),
}


def measure(arm: Arm, seed: int, source: Fruit, seconds: float) -> dict[str, Any]:
    """Train one super net for so many seconds of a core, and return what its networks score."""
    data, cpu = source.prepared(seed), Device("cpu")
    preset = PRESETS["quick"]
    height, width = data.preprocess.height, data.preprocess.width
    config = replace(preset.space("lite", height, width), classes=len(data.dataset.classes))
    space = SearchSpace(replace(config, elastic=arm.elastic))  # type: ignore[call-arg]
    batches = Batches(data.train, 32, seed, make_augmenter(source.augment, height, width, cpu))
    shown = SearchData(batches, data.val, AnytimeLoss(label_smoothing=0.1), sandwich=arm.rule)

    def begun() -> Search:
        search = build_search("random", preset.settings("random"), SearchProblem(space), shown, seed)
        assert search.training is not None
        if arm.pretrained:
            load_matching(search.training.net, EFFICIENTNET_LITE0)
        return search

    timed = _train(begun(), _TIMED, seed) / _TIMED
    steps, search = max(1, round(seconds / timed)), begun()
    spent = _train(search, steps, seed)
    draws = np.random.default_rng(0)
    smallest, largest = extremes(space)
    scored = _scores(search, [*(space.sample(draws) for _ in range(NETWORKS)), smallest, largest], data)
    return {"steps": steps, "cpu_seconds": spent, **scored}


def _train(search: Search, steps: int, seed: int) -> float:
    rng, begin = np.random.default_rng(seed), time.process_time()
    for number in range(steps):
        search.weight_step(number, steps, rng)
    return time.process_time() - begin


def _scores(search: Search, networks: Sequence[Architecture], data: PreparedData) -> dict[str, list[float]]:
    """Return accuracy and cross entropy of each network's last exit on the validation images."""
    assert search.training is not None
    net, decisions = search.training.net, search.problem.space.decisions
    batch = data.val.take(np.arange(len(data.val)))
    found: dict[str, list[float]] = {"accuracy": [], "cross_entropy": []}
    for network in networks:
        with torch.inference_mode(), batch_statistics(net):
            logits = net(FromBytes()(batch.images), gates_of(network, decisions))[-1].numpy()
        found["accuracy"].append(float((logits.argmax(1) == data.val.targets).mean()))
        likely = log_softmax(logits, axis=1)[np.arange(len(logits)), data.val.targets]
        found["cross_entropy"].append(-float(likely.mean()))
    return found


def summarise(figures: Mapping[str, Any], scale: str) -> list[dict[str, Any]]:
    """Return a row for each arm: its mean scores, and their difference from the arm before it, paired by seed."""
    by_arm: dict[str, dict[int, Any]] = {arm: {} for arm in ARMS}
    for name, found in figures.items():
        arm, seed = name.rsplit("/", 1)
        by_arm[arm][int(seed)] = found
    rows, before = [], ""
    for arm, found in by_arm.items():
        if found:
            means = {kind: float(np.mean([each[kind][:NETWORKS] for each in found.values()])) for kind in _KINDS}
            ends = [[each["accuracy"][place] for each in found.values()] for place in (-2, -1)]
            row: dict[str, Any] = {"arm": arm, "n": len(found), **means, "smallest": float(np.mean(ends[0]))}
            row |= {"largest": float(np.mean(ends[1])), "steps": float(np.mean([x["steps"] for x in found.values()]))}
            seeds = sorted(found.keys() & by_arm[before].keys()) if before else []
            if len(seeds) > 1:
                pairs = [tuple(_mean(by_arm[each][seed]) for each in (arm, before)) for seed in seeds]
                text = f"{arm} scores higher than {before}"
                row["against"] = paired_row(text, "", pairs, (0.0, 1.0), scale, (arm, before))  # type: ignore[arg-type]
            rows.append(row)
        before = arm
    return rows


_KINDS = ("accuracy", "cross_entropy")


def _mean(found: Mapping[str, Any]) -> float:
    return float(np.mean(found["accuracy"][:NETWORKS]))


@click.command()
@measurement_options("shared_weights", minutes=60)
@click.option("--data", default="../shared/data/mango_lesions", show_default=True)
@click.option("--group-by", default="groups.csv:fruit", show_default=True)
@click.option("--size", default=128, show_default=True, help="Pixels of a side.")
@click.option("--seconds", default=120.0, show_default=True, help="Of one core, for each super net.")
@click.option("--seeds", type=click.IntRange(1, PARTS), default=3, show_default=True)
@click.option("--work", default="runs/shared_weights", show_default=True, help="Where decoded images are kept.")
def main(
    minutes: float,
    jobs: int,
    resume: bool,
    out: Path,
    data: str,
    group_by: str,
    size: int,
    seconds: float,
    seeds: int,
    work: str,
) -> None:
    """Measure what is missing, save each measurement at once, and print a row for each way to train."""
    source = Fruit(data, group_by or None, size, work)
    setup = {"data": str(source), "seconds": seconds, "arms": {name: repr(arm) for name, arm in ARMS.items()}}
    ledger = Ledger("shared_weights", out, setup, partial(summarise, scale=f"{source}, {seconds:g} s"))
    ledger.open(resume)
    planned = [
        Measurement(f"{name}/{seed}", partial(measure, arm, seed, source, seconds))
        for seed in range(seeds)
        for name, arm in ARMS.items()
    ]
    measure_all(ledger, planned, minutes, jobs)
    for row in ledger.save():
        click.echo(
            f"{row['arm']:30} {row['accuracy']:.1%} (cross entropy {row['cross_entropy']:.3f}), smallest"
            f" {row['smallest']:.1%}, largest {row['largest']:.1%}, {row['steps']:.0f} steps, n = {row['n']}"
        )


if __name__ == "__main__":
    main()
