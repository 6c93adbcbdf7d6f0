"""What n queries buy on NAS-Bench-201: every sampler against random search and published query methods.

    python benchmarks/nasbench201.py --minutes 60 --jobs 2

A query tells an architecture's validation accuracy after 12 epochs on one of three data sets; asking again is free.
Reported is the test accuracy after 200 epochs of what validated best so far. A sampler that repeats itself is stopped
after three times as many calls as queries; its last figures are then those of the fewer that it made. Seeds are taken
in turn by all methods, so that a run cut short compares equally many; what is done is kept in --out, where the next run
goes on.
"""

import csv
import json
import multiprocessing
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import cache, partial
from itertools import product
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from conditions import conditions
from scipy.stats import wilcoxon

from mango_grader.automl.architecture import Architecture
from mango_grader.automl.samplers import (
    Controller,
    ControllerSettings,
    Evolution,
    EvolutionSettings,
    Sampler,
    UniformSampler,
    VaeSampler,
    VaeSettings,
)
from mango_grader.automl.spaces import NasBench201Config, SearchSpace
from mango_grader.automl.spaces.nasbench201 import from_cell_string
from mango_grader.files import read_json, write_json
from mango_grader.training.device import seed_everything

QUERIES = (50, 100, 200, 500)
DATA = {"cifar10": "c10", "cifar100": "c100", "imagenet16": "in16"}
EPSILON_STEPS = (0.0, 0.04, 0.05, 0.0625, 0.1, 0.2, 0.5)  # TNAS, Table 4
FEW, MANY = 30, 500
_SPACE = SearchSpace(NasBench201Config(32, 32, 10))
_VAE = VaeSettings(layers=1, steps=30)
_ROUND = 25
_CALLS = 3 * QUERIES[-1]


class SpentError(Exception):
    """All queries are used up."""


@dataclass
class Table:
    """Validation accuracies to query and test accuracies to report, in percent, of one data set."""

    validation: Mapping[Architecture, float]
    test: Mapping[Architecture, float]
    asked: dict[Architecture, float] = field(default_factory=dict)
    calls: int = 0

    def query(self, architecture: Architecture) -> float:
        self.calls += 1
        if self.calls > _CALLS:  # a sampler that has hardly anything new to propose
            raise SpentError
        if architecture not in self.asked:
            if len(self.asked) == QUERIES[-1]:
                raise SpentError
            self.asked[architecture] = self.validation[architecture]
        return self.asked[architecture]

    def curve(self) -> list[float]:
        """Return the test accuracy of the best validated after each number of `QUERIES`."""
        order = list(self.asked)
        return [self.test[max(order[:count], key=self.asked.__getitem__)] for count in QUERIES]


def everything(_: Architecture) -> bool:
    return True


def ask_and_tell(sampler: Sampler, table: Table, rng: np.random.Generator, count: int) -> None:
    while True:
        sampler.tell([(found, table.query(found) / 100) for found in sampler.ask(rng, count)])


def random(table: Table, rng: np.random.Generator) -> None:
    ask_and_tell(UniformSampler(_SPACE, everything), table, rng, 1)


def evolution(table: Table, rng: np.random.Generator) -> None:
    ask_and_tell(
        Evolution(_SPACE, everything, EvolutionSettings(population=25, crossovers=12, mutations=13)), table, rng, 25
    )


def controller(table: Table, rng: np.random.Generator) -> None:
    ask_and_tell(Controller(_SPACE, ControllerSettings(lr=0.01, baseline_decay=0.9)), table, rng, 4)


def vae(epsilon_step: float, table: Table, rng: np.random.Generator) -> None:
    """Γ(a) = (1 − ε)·U(a) + ε·p_θ(a|z), refitted after every round (TNAS, Eq. 11)."""
    sampler, epsilon = VaeSampler(_SPACE, _VAE), 0.0
    while True:
        learned = int(rng.binomial(_ROUND, epsilon))
        drawn = sampler.ask(rng, learned) + [_SPACE.sample(rng) for _ in range(_ROUND - learned)]
        sampler.tell([(found, table.query(found) / 100) for found in drawn])
        epsilon = min(1.0, epsilon + epsilon_step)


def regularised_evolution(table: Table, rng: np.random.Generator) -> None:
    """Real et al. 2019: a queue of 50, tournaments of 10, one decision mutated, the oldest dies."""
    alive = [_SPACE.sample(rng) for _ in range(50)]
    for found in alive:
        table.query(found)
    while True:
        rivals = [alive[int(place)] for place in rng.choice(len(alive), 10, replace=False)]
        child = mutated(max(rivals, key=table.query), rng)
        table.query(child)
        alive = [*alive[1:], child]


def local_search(table: Table, rng: np.random.Generator) -> None:
    """White et al. 2021: climb to the best neighbour until there is none, then start again."""
    while True:
        here = _SPACE.sample(rng)
        while True:
            best = max([here, *neighbours(here)], key=table.query)
            if best == here:
                break
            here = best


def neighbours(architecture: Architecture) -> Iterator[Architecture]:
    for decision in _SPACE.decisions:
        for candidate in decision.candidates:
            if (candidate,) != architecture.choices[decision.name]:
                yield Architecture(architecture.space, {**architecture.choices, decision.name: (candidate,)})


def mutated(parent: Architecture, rng: np.random.Generator) -> Architecture:
    options = list(neighbours(parent))
    return options[int(rng.integers(len(options)))]


METHODS: dict[str, tuple[int, Callable[[Table, np.random.Generator], None]]] = {
    "random": (MANY, random),
    "evolution": (MANY, evolution),
    "regularised evolution": (MANY, regularised_evolution),
    "local search": (MANY, local_search),
    "controller": (FEW, controller),
    **{f"vae {step:g}": (FEW, partial(vae, step)) for step in EPSILON_STEPS},
}


@cache
def read_table(path: str) -> Mapping[str, tuple[Mapping[Architecture, float], Mapping[Architecture, float]]]:
    with Path(path).open(newline="") as file:
        rows = [(from_cell_string(_SPACE.config, row["arch"]), row) for row in csv.DictReader(file)]
    return {
        name: (
            {found: float(row[f"{short}_val12"]) for found, row in rows},
            {found: float(row[f"{short}_test200"]) for found, row in rows},
        )
        for name, short in DATA.items()
    }


def one_run(path: str, method: str, data: str, seed: int) -> list[float]:
    torch.set_num_threads(1)
    seed_everything(seed)
    table = Table(*read_table(path)[data])
    try:
        METHODS[method][1](table, np.random.default_rng(seed))
    except SpentError:
        return table.curve()
    raise AssertionError("a method ends by spending its queries")


def key(method: str, data: str, seed: int) -> str:
    return f"{method}/{data}/{seed}"


def to_do(done: Mapping[str, Any]) -> list[tuple[str, str, int]]:
    """Return what is left, seed by seed; the learned samplers drop out after their few."""
    runs = [(m, d, s) for s in range(MANY) for m, d in product(METHODS, DATA) if s < METHODS[m][0]]
    return [run for run in runs if key(*run) not in done]


def summary(runs: Mapping[str, Sequence[float]]) -> list[dict[str, Any]]:
    rows = []
    for method, data in product(METHODS, DATA):
        curves = {s: runs[key(method, data, s)] for s in range(MANY) if key(method, data, s) in runs}
        if len(curves) < 2:
            continue
        values = np.array(list(curves.values()))
        paired = [
            (curve, runs[key("random", data, s)]) for s, curve in curves.items() if key("random", data, s) in runs
        ]
        own, rival = (np.array(side) for side in zip(*paired, strict=True)) if paired else (values, values)
        rows.append(
            {
                "method": method,
                "data": data,
                "n": len(curves),
                "mean": dict(zip(map(str, QUERIES), values.mean(0).tolist(), strict=True)),
                "sd": dict(zip(map(str, QUERIES), values.std(0, ddof=1).tolist(), strict=True)),
                "p_against_random": {
                    str(count): p_value(own[:, place], rival[:, place]) for place, count in enumerate(QUERIES)
                },
            }
        )
    return rows


def p_value(own: np.ndarray, rival: np.ndarray) -> float | None:
    """Return Wilcoxon's two-sided signed-rank p over seeds; None where nothing differs."""
    return float(wilcoxon(own, rival).pvalue) if np.any(own != rival) else None


@click.command()
@click.option("--table", default="../shared/data/nasbench201/nasbench201.csv", show_default=True)
@click.option("--minutes", type=float, default=60.0, show_default=True)
@click.option("--jobs", type=click.IntRange(1), default=2, show_default=True)
@click.option("--out", type=click.Path(path_type=Path), default=Path(__file__).parent / "results" / "nasbench201.json")
def main(table: str, minutes: float, jobs: int, out: Path) -> None:
    runs: dict[str, list[float]] = read_json(out)["runs"] if out.exists() else {}
    end = time.monotonic() + 60 * minutes
    left = to_do(runs)
    with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
        while left and time.monotonic() < end:
            batch, left = left[: 2 * jobs], left[2 * jobs :]  # so few that the time is kept
            futures = {run: pool.submit(one_run, table, *run) for run in batch}
            for run, future in futures.items():
                if time.monotonic() < end or future.running() or future.done():
                    runs[key(*run)] = future.result()
                else:
                    future.cancel()
            save(out, runs)
    rows = summary(runs)
    click.echo(f"{'method':22}{'data':12}{'n':>5}" + "".join(f"{count:>14}" for count in QUERIES))
    for row in rows:
        cells = "".join(f"{row['mean'][str(c)]:8.2f}±{row['sd'][str(c)]:5.2f}" for c in QUERIES)
        click.echo(f"{row['method']:22}{row['data']:12}{row['n']:5}{cells}")


def save(out: Path, runs: Mapping[str, Sequence[float]]) -> None:
    result = {
        "benchmark": "nasbench201",
        "queries": QUERIES,
        "vae": vars(_VAE) | {"round": _ROUND},
        "conditions": conditions(),
        "summary": summary(runs),
        "runs": runs,
    }
    write_json(out, json.loads(json.dumps(result)))


if __name__ == "__main__":
    main()
