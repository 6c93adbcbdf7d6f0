"""The searched network against torchvision's ShuffleNetV2 ×0.5 on real mangoes, every image tested once.

    python -m benchmarks.suite.mangoes --data ../shared/data/mango_lesions --group-by groups.csv:group

Both are trained by the same trainer: same folds, augmentation, epochs and seed. Figures are pooled over the folds;
intervals and the paired difference come from a bootstrap over groups. Everything is kept in --work, where an
interrupted benchmark continues.

Time: half an hour. Hardware: 2 CPU cores. n: 676 images in 646 groups, 5 folds.
"""

import multiprocessing
import os
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch

from benchmarks.lib.conditions import conditions
from benchmarks.lib.options import fold_options
from mango_grader import SearchOptions, TrainOptions, search, train
from mango_grader.files import read_json, write_json
from mango_grader.progress import make_progress
from mango_grader.training.bootstrap import paired_difference
from mango_grader.workflow.comparison.answers import pooled
from mango_grader.workflow.options import NONE
from mango_grader.workflow.run.folder import RunFolder


def summary(name: str, runs: Sequence[RunFolder], seconds: float) -> dict[str, Any]:
    """Return one network's figures."""
    tests = [read_json(run.metrics)["test"] for run in runs]
    last = [test["exits"][-1] for test in tests]
    answers = pooled(runs)
    assert len(set(answers.paths)) == len(answers.paths), "an image was tested twice"
    by_fold = [each["accuracy"]["value"] for each in last]
    return {
        "name": name,
        "params": [each["params"] for each in last],
        "macs": [[each["macs"] for each in test["exits"]] for test in tests],
        "exits": {
            "pooled_accuracy": [float(share) for share in answers.correct.mean(1)],
            "last_by_fold": by_fold,
            "last_mean": float(np.mean(by_fold)),
            "last_sd": float(np.std(by_fold, ddof=1)) if len(by_fold) > 1 else None,
        },
        "threshold_policy": {
            "pooled_accuracy": float(answers.by_policy.mean()),
            "cost": float(answers.cost.mean()),
            "loss_against_last_exit": asdict(
                paired_difference(answers.correct[-1], answers.by_policy, answers.groups, seed=0)
            ),
        },
        "seconds_per_fold": seconds / len(runs),
    }


@dataclass(frozen=True)
class Job:
    """One network on one fold, and where its run is kept."""

    folder: Path
    options: SearchOptions | TrainOptions

    def run(self) -> float:
        """Do the run, or what is missing of it; return the seconds it took."""
        start = time.monotonic()
        make = search if isinstance(self.options, SearchOptions) else train
        make(self.folder, self.options.config(), resume=self.folder.exists(), progress=make_progress("plain"))
        return time.monotonic() - start


@click.command()
@fold_options
@click.option("--seed", default=0, show_default=True)
@click.option("--preset", default="quick", show_default=True)
@click.option("--method", default=SearchOptions.method, show_default=True)
@click.option("--max-params", default=350_000, show_default=True)
@click.option("--baseline", default="shufflenet_v2_x0_5", show_default=True)
@click.option("--set", "settings", multiple=True, help="Settings for both sides.")
@click.option("--jobs", default=1, show_default=True, help="Runs side by side, the cores shared among them.")
@click.option("--work", default="runs/mangoes", show_default=True, help="Where the runs are kept.")
@click.option("--out", default="benchmarks/results/mangoes.json", show_default=True)
def main(
    data: str,
    group_by: str,
    folds: int,
    seed: int,
    preset: str,
    method: str,
    max_params: int,
    baseline: str,
    settings: tuple[str, ...],
    jobs: int,
    work: str,
    out: str,
) -> None:
    """Run every fold of both networks, write the JSON and print a short table."""
    threads = max(1, (os.cpu_count() or 1) // jobs)
    setup: dict[str, Any] = {"data": data, "group_by": group_by, "seed": seed, "preset": preset}
    measured_under = {**conditions(), "jobs": jobs, "threads_per_job": threads}
    own = [name for name in settings if not name.startswith(("method.", "space."))]
    pairs = []
    for fold in range(1, folds + 1):
        place = {**setup, "fold": (fold, folds)}
        ours = SearchOptions(**place, method=method, max_params=max_params, teacher=NONE, settings=settings)
        theirs = TrainOptions(**place, baseline=baseline, settings=own)
        pairs.append((Job(Path(work, f"searched-{fold}"), ours), Job(Path(work, f"{baseline}-{fold}"), theirs)))
    spent = ([0.0], [0.0])
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, spawn, torch.set_num_threads, (threads,)) as pool:
        running = [tuple(pool.submit(job.run) for job in pair) for pair in pairs]
        for done, futures in enumerate(running, start=1):
            for side, future in zip(spent, futures, strict=True):
                side.append(future.result())
            runs = tuple([RunFolder(pair[side].folder) for pair in pairs[:done]] for side in (0, 1))
            result = _result(runs[0], runs[1], baseline, {"searched": sum(spent[0]), "trained": sum(spent[1])})
            head = {"benchmark": "mangoes", "conditions": measured_under}
            plan = {**setup, "folds": folds, "method": method, "max_params": max_params, "settings": settings}
            write_json(out, {**head, "setup": plan, **result})
    _print(read_json(out))


def _result(
    searched: Sequence[RunFolder], trained: Sequence[RunFolder], baseline: str, spent: dict[str, float]
) -> dict[str, Any]:
    ours, theirs = pooled(searched), pooled(trained)
    assert ours.paths == theirs.paths, "both must be tested on the same images"
    return {
        "folds_done": len(searched),
        "images": len(ours.paths),
        "groups": len(set(ours.groups)),
        "searched": summary("searched", searched, spent["searched"]),
        "baseline": summary(baseline, trained, spent["trained"]),
        "difference": asdict(paired_difference(ours.correct[-1], theirs.correct[-1], ours.groups, seed=0)),
    }


def _print(result: dict[str, Any]) -> None:
    for side in ("searched", "baseline"):
        each = result[side]
        exits = " ".join(f"{100 * share:.1f}" for share in each["exits"]["pooled_accuracy"])
        policy = each["threshold_policy"]
        print(
            f"{each['name']:<22} exits {exits} %  last by fold {100 * each['exits']['last_mean']:.1f} ± "
            f"{100 * (each['exits']['last_sd'] or 0):.1f}  threshold {100 * policy['pooled_accuracy']:.1f} % at "
            f"{100 * policy['cost']:.0f} % of MACs  {max(each['params'])} params  {each['seconds_per_fold']:.0f} s/fold"
        )
    gap = result["difference"]
    print(
        f"searched − {result['baseline']['name']}: {100 * gap['value']:+.1f} points "
        f"({100 * gap['low']:+.1f} to {100 * gap['high']:+.1f}), n = {result['images']} in {result['groups']} groups"
    )


if __name__ == "__main__":
    main()
