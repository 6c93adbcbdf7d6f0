"""What n queries buy on NAS-Bench-201: our samplers, random search and published query methods on the whole table.

    python -m benchmarks.suite.nasbench201 --minutes 60

A query tells an architecture's validation accuracy after 12 epochs on one of three data sets. Reported is the test
accuracy after 200 epochs of what validated best so far; of the Gaussian process also of what it believes in (tuned on
CIFAR-10 only). Then, as in TNAS's Tables 4-5 and Figs 2-3, what 10 to 300 draws of the learned distributions are worth,
and the 30 best that each method found. A sampler that repeats itself is stopped after twice as many calls as
queries.

Time: 2 hours. Hardware: 2 CPU cores. n: 500 seeds, 30 for methods that learn a model. A replay is exact, so its
measurements need not be committed.
"""

from collections.abc import Mapping
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from scipy.stats import wilcoxon

from benchmarks.lib.measurements import Ledger, Measurement, measure_all
from benchmarks.lib.nasbench.gaussian import GaussianProcess
from benchmarks.lib.nasbench.pages import draw, print_table
from benchmarks.lib.nasbench.searchers import VAE, Searcher, searchers, spend
from benchmarks.lib.nasbench.table import DATA, Queries, Table, read_table
from benchmarks.lib.options import measurement_options
from mango_grader.training.device import seed_everything

QUERIES = (50, 100, 200, 500)
DRAWS = (10, 50, 100, 300)
KEPT = VAE.kept
WITHIN = (1.0, 2.0)
_RIVALS = ("random", "evolution")

Run = dict[str, Any]
"""Of one seed: "best" and maybe "within 1", …: test accuracy at each of QUERIES; "kept": mean of the best validated;
"max" and "mean": test accuracy of each number of DRAWS."""


def one_run(table: Table, searcher: Searcher, seed: int) -> Run:
    seed_everything(seed)
    rng = np.random.default_rng(seed)
    queries, sampler = Queries(table, QUERIES[-1]), searcher.make(table)
    chosen: dict[str, list[float]] = {f"within {share:g}": [] for share in WITHIN}

    def seen() -> None:
        if isinstance(sampler, GaussianProcess) and len(queries.asked) in QUERIES:
            for share in WITHIN:
                chosen[f"within {share:g}"].append(table.test[sampler.choice(table.macs, share)])

    spend(sampler, queries, rng, searcher.round, seen)
    run: Run = {name: values for name, values in chosen.items() if values}
    run["best"] = [table.test[queries.best(1, among=count)[0]] for count in QUERIES]
    run["kept"] = float(np.mean([table.test[found] for found in queries.best(KEPT)]))
    if searcher.model is not None:
        drawn = np.array([table.test[found] for found in searcher.model(sampler).ask(rng, DRAWS[-1])])
        run["max"], run["mean"] = ([float(of(drawn[:count])) for count in DRAWS] for of in (np.max, np.mean))
    return run


def runs(path: str, method: str, data: str, seeds: range) -> dict[str, Run]:
    torch.set_num_threads(1)  # so small a model is no faster on two
    table, searcher = read_table(path, data), searchers(0, 0)[method]
    return {str(seed): one_run(table, searcher, seed) for seed in seeds}


def measurements(path: str, methods: Mapping[str, Searcher]) -> list[Measurement]:
    """Return measurements of some seconds to a minute, early seeds of all methods first."""
    found = []
    for (name, searcher), data in product(methods.items(), DATA):
        step = 50 if searcher.seeds > 50 else 2
        for first in range(0, searcher.seeds, step):
            seeds = range(first, min(first + step, searcher.seeds))
            found.append(
                (first / searcher.seeds, Measurement(f"{name}/{data}/{first}", partial(runs, path, name, data, seeds)))
            )
    return [measurement for _, measurement in sorted(found, key=lambda each: each[0])]


def summarise(figures: Mapping[str, Mapping[str, Run]]) -> list[dict[str, Any]]:
    """Return a row for each method, way to choose and data set."""
    by_seed: dict[tuple[str, str], dict[str, Run]] = {}
    for name, done in figures.items():
        method, data, _ = name.split("/")
        by_seed.setdefault((method, data), {}).update(done)
    rows = []
    for (method, data), done in by_seed.items():
        if len(done) < 2:
            continue
        rivals = {name: by_seed.get((name, data), {}) for name in _RIVALS}
        choices = [name for name in next(iter(done.values())) if name == "best" or name.startswith("within")]
        rows += [_row(method, data, choice, done, rivals) for choice in choices]
    return rows


def _row(
    method: str, data: str, choice: str, done: Mapping[str, Run], rivals: Mapping[str, Mapping[str, Run]]
) -> dict[str, Any]:
    row: dict[str, Any] = {"method": method, "data": data, "choice": choice, "n": len(done)}
    row["test"] = _by_count(np.array([run[choice] for run in done.values()]), QUERIES)
    for rival, theirs in rivals.items():
        common = [seed for seed in done if seed in theirs]
        own, other = (
            np.array([side[seed][key] for seed in common]) for side, key in ((done, choice), (theirs, "best"))
        )
        row[f"p_against_{rival}"] = {
            str(count): p_value(own[:, place], other[:, place]) if common else None
            for place, count in enumerate(QUERIES)
        }
    row["kept"] = _by_count(np.array([[run["kept"]] for run in done.values()]), (KEPT,))
    for of in ("max", "mean"):
        if of in next(iter(done.values())):
            row[f"{of}_of_draws"] = _by_count(np.array([run[of] for run in done.values()]), DRAWS)
    return row


def _by_count(values: np.ndarray, counts: tuple[int, ...]) -> dict[str, dict[str, float]]:
    means, deviations = values.mean(0), values.std(0, ddof=1)
    return {str(c): {"mean": float(m), "sd": float(d)} for c, m, d in zip(counts, means, deviations, strict=True)}


def p_value(own: np.ndarray, rival: np.ndarray) -> float | None:
    """Return Wilcoxon's two-sided signed-rank p over seeds; None where nothing differs."""
    # The default enumerates all signs of few seeds: seconds at each saving.
    return float(wilcoxon(own, rival, method="asymptotic").pvalue) if np.any(own != rival) else None


@click.command()
@click.option("--table", default="../shared/data/nasbench201/nasbench201.csv", show_default=True)
@click.option("--many", default=500, show_default=True, help="Seeds of methods without a model.")
@click.option("--few", default=30, show_default=True, help="Seeds of learned ones.")
@click.option("--method", "names", multiple=True, help="Only these; all unless named.")
@measurement_options("nasbench201", minutes=120)
def main(
    table: str, many: int, few: int, names: tuple[str, ...], minutes: float, jobs: int, resume: bool, out: Path
) -> None:
    """Replay all methods, write the JSON, print a table and draw it."""
    methods = {name: each for name, each in searchers(many, few).items() if not names or name in names}
    setup = {"queries": QUERIES, "draws": DRAWS, "vae": vars(VAE), "many": many, "few": few}
    ledger = Ledger("nasbench201", out, setup, summarise)
    ledger.open(resume)
    measure_all(ledger, measurements(str(Path(table).resolve()), methods), minutes, jobs)
    rows = ledger.save()
    print_table(rows, QUERIES)
    draw(rows, QUERIES, DRAWS, out.with_suffix(".png"))


if __name__ == "__main__":
    main()
