"""The searched network against torchvision's ShuffleNetV2 ×0.5 on real mangoes, every image tested once.

    python benchmarks/mangoes.py --data ../shared/data/mango_lesions --group-by groups.csv:group

Both are trained by the same trainer: same folds, augmentation, epochs and seed. Figures are pooled over the folds;
intervals and the paired difference come from a bootstrap over groups. Everything is kept in --work, where an
interrupted benchmark continues.
"""

import json
import os
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the command line does: nothing spins

import click
import numpy as np
from conditions import conditions
from numpy.typing import NDArray

from mango_grader import SearchOptions, TrainOptions, search, train
from mango_grader.files import read_json, write_json
from mango_grader.progress import Progress, make_progress
from mango_grader.runtime import Threshold
from mango_grader.training.bootstrap import paired_difference
from mango_grader.training.metrics import settled_exits
from mango_grader.workflow.folder import RunFolder


@dataclass(frozen=True)
class Pooled:
    """Test answers over all folds, in the order of their paths. right: (exits, N). settled, cost: (N,)."""

    paths: Sequence[str]
    groups: Sequence[str]
    right: NDArray[np.bool_]
    by_policy: NDArray[np.bool_]
    cost: NDArray[np.float64]  # share of the last exit's MACs


def pooled(runs: Sequence[RunFolder]) -> Pooled:
    """Gather what the runs answered on their test parts."""
    rows = [row for run in runs for row in _answers(run)]
    rows.sort(key=lambda row: row["path"])
    assert len({row["path"] for row in rows}) == len(rows), "a picture was tested twice"
    return Pooled(
        [row["path"] for row in rows],
        [row["group"] for row in rows],
        np.array([row["right"] for row in rows]).T,
        np.array([row["by_policy"] for row in rows]),
        np.array([row["cost"] for row in rows]),
    )


def _answers(run: RunFolder) -> list[dict[str, Any]]:
    metrics = read_json(run.metrics)
    rows = [json.loads(line) for line in run.predictions.read_text().splitlines()]
    probabilities = np.moveaxis(np.array([row["probabilities"] for row in rows]), 1, 0)
    labels = np.array([metrics["classes"].index(row["label"]) for row in rows])
    right = probabilities.argmax(2) == labels
    settled = settled_exits(Threshold(tuple(metrics["calibration"]["thresholds"])), probabilities)
    macs = np.array([each["macs"] for each in metrics["test"]["exits"]], dtype=float)
    return [
        {
            "path": row["path"],
            "group": row["group"],
            "right": right[:, place],
            "by_policy": right[settled[place], place],
            "cost": macs[settled[place]] / macs[-1],
        }
        for place, row in enumerate(rows)
    ]


def summary(name: str, runs: Sequence[RunFolder], seconds: float) -> dict[str, Any]:
    """Return one network's figures."""
    tests = [read_json(run.metrics)["test"] for run in runs]
    last = [test["exits"][-1] for test in tests]
    answers = pooled(runs)
    by_fold = [each["accuracy"]["value"] for each in last]
    return {
        "name": name,
        "params": [each["params"] for each in last],
        "macs": [[each["macs"] for each in test["exits"]] for test in tests],
        "exits": {
            "pooled_accuracy": [float(share) for share in answers.right.mean(1)],
            "last_by_fold": by_fold,
            "last_mean": float(np.mean(by_fold)),
            "last_sd": float(np.std(by_fold, ddof=1)) if len(by_fold) > 1 else None,
        },
        "threshold_policy": {
            "pooled_accuracy": float(answers.by_policy.mean()),
            "cost": float(answers.cost.mean()),
            "loss_against_last_exit": asdict(
                paired_difference(answers.right[-1], answers.by_policy, answers.groups, seed=0)
            ),
        },
        "seconds_per_fold": seconds / len(runs),
    }


@click.command()
@click.option("--data", default="../shared/data/mango_lesions", show_default=True)
@click.option("--group-by", default="groups.csv:group", show_default=True)
@click.option("--folds", default=5, show_default=True)
@click.option("--seed", default=0, show_default=True)
@click.option("--preset", default="quick", show_default=True)
@click.option("--method", default="enas", show_default=True)
@click.option("--max-params", default=350_000, show_default=True)
@click.option("--baseline", default="shufflenet_v2_x0_5", show_default=True)
@click.option("--set", "settings", multiple=True, help="Settings for both sides.")
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
    work: str,
    out: str,
) -> None:
    """Run every fold of both networks, write the JSON and print a short table."""
    progress = make_progress("plain")
    measured_under = conditions()
    searched, trained = [], []
    spent = {"searched": 0.0, "trained": 0.0}
    shared: dict[str, Any] = {"data": data, "group_by": group_by, "seed": seed, "preset": preset}
    for fold in range(1, folds + 1):
        progress.note(f"fold {fold} of {folds}")
        own = [name for name in settings if not name.startswith(("method.", "space."))]
        options = SearchOptions(**shared, fold=(fold, folds), method=method, max_params=max_params, settings=settings)
        rival = TrainOptions(**shared, fold=(fold, folds), baseline=baseline, settings=own)
        searched.append(_timed(search, Path(work, f"searched-{fold}"), options, spent, "searched", progress))
        trained.append(_timed(train, Path(work, f"{baseline}-{fold}"), rival, spent, "trained", progress))
        setup = {**shared, "folds": folds, "method": method, "max_params": max_params, "settings": settings}
        result = _result(searched, trained, baseline, spent)
        write_json(out, {"benchmark": "mangoes", "conditions": measured_under, "setup": setup, **result})
    _print(read_json(out))


def _timed(
    run: Any, folder: Path, options: SearchOptions | TrainOptions, spent: dict[str, float], key: str, progress: Progress
) -> RunFolder:
    start = time.monotonic()
    finished: RunFolder = run(folder, options.config(), resume=folder.exists(), progress=progress)
    spent[key] += time.monotonic() - start
    return finished


def _result(
    searched: Sequence[RunFolder], trained: Sequence[RunFolder], baseline: str, spent: dict[str, float]
) -> dict[str, Any]:
    ours, theirs = pooled(searched), pooled(trained)
    assert list(ours.paths) == list(theirs.paths), "both must be tested on the same pictures"
    return {
        "folds_done": len(searched),
        "images": len(ours.paths),
        "groups": len(set(ours.groups)),
        "searched": summary("searched", searched, spent["searched"]),
        "baseline": summary(baseline, trained, spent["trained"]),
        "difference": asdict(paired_difference(ours.right[-1], theirs.right[-1], ours.groups, seed=0)),
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
