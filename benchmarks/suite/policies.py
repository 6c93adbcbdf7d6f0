"""Exit policies and decision rules on real mangoes: accuracy, work, milliseconds and reviews, and what `risk` lost.

    python -m benchmarks.suite.policies --data ../shared/data/mango_lesions --jobs 1

A measurement is one fold of one grouped split: a network is searched, trained and exported, or taken from --work, and
its bundle grades the fold's test images under every policy and rule. Thresholds, risks, budgets and sets come from the
validation images in the bundle; test images are only reported. Deadlines are the median and the 99 % quantile of the
time of `full` on this host. Costs are by made-up prices: a rotten fruit sold as sound costs 5, a sound one thrown away
1, one rot called another 0.5, and a person's look 0.3. "newly wrong" is what `risk` bounds: fruit with an image that
the policy gets wrong and the last exit right.

Time: 4 minutes on one core a fold to train, seconds to measure. Milliseconds need an otherwise idle machine, and
--jobs 1. Hardware: 2 CPU cores. n: 676 images in 5 folds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np
from matplotlib.figure import Figure

from benchmarks.lib.measurements import Ledger, Measurement, as_text, measure_all
from benchmarks.lib.options import fold_options, measurement_options
from benchmarks.lib.plots import save_plot
from mango_grader import EvaluateOptions, SearchOptions, evaluate, search
from mango_grader.errors import MangoError, UsageError
from mango_grader.files import write_text
from mango_grader.progress import SilentProgress
from mango_grader.report.charts import percent
from mango_grader.runtime import Bundle, Grader
from mango_grader.training.bootstrap import paired_difference
from mango_grader.training.combinations import CombinationMetrics
from mango_grader.workflow.evaluate import Evaluation
from mango_grader.workflow.finalize import export_run
from mango_grader.workflow.run.folder import RunFolder

RISK = "risk:eps=0.05,delta=0.1"
POLICIES = ("full", "exit:1", "exit:2", "threshold", "budget:40%", "budget:60%", RISK)
RULES = ("argmax", "cost", "conformal:alpha=0.1")
DEADLINES = {"deadline at the median of full": "p50", "deadline at the 99 % quantile of full": "p99"}
MISSED, WASTED, CONFUSED, REVIEWED = 5.0, 1.0, 0.5, 0.3


@dataclass(frozen=True)
class Place:
    """What all folds have in common, and where they are kept."""

    data: str
    group_by: str
    folds: int
    preset: str
    max_params: int
    settings: tuple[str, ...]
    sound: str
    work: str

    def bundle(self, fold: int) -> tuple[RunFolder, Path]:
        """Return the run of a fold and its bundle, with what is missing of them made first."""
        run = RunFolder(Path(self.work, f"fold{fold}"))
        options = SearchOptions(
            data=self.data, group_by=self.group_by, fold=(fold, self.folds), method="random", preset=self.preset,
            max_params=self.max_params, seed=0, settings=self.settings,
        )  # fmt: skip
        if not run.finished:
            search(run.path, options.config(), resume=run.path.exists())
        if _complete(run.model):
            return run, run.model
        exported = Path(self.work, f"fold{fold}.mango")  # A run of an earlier version stays as it is.
        if not _complete(exported):
            export_run(str(run.path), str(exported), None, SilentProgress())
        return run, exported


def _complete(model: Path) -> bool:
    try:
        return Bundle.open(model).manifest.calibration is not None
    except MangoError:
        return False


def measure(fold: int, place: Place) -> dict[str, Any]:
    """Return the figures of every policy and rule on the test images of one fold."""
    run, model = place.bundle(fold)
    manifest = Bundle.open(model).manifest
    prices = Path(place.work, f"prices{fold}.csv")
    write_text(prices, price_list(manifest.classes, place.sound))
    rules = {rule: f"cost:{prices}" if rule == "cost" else rule for rule in RULES}

    def measured(policy: str, *decide: str) -> Evaluation:
        options = EvaluateOptions(
            policies=(policy,), rules=decide, provider="cpu", group_by=place.group_by, split=str(run.split), bootstrap=0
        )  # fmt: skip
        return evaluate(str(model), place.data, options)

    measured("full")  # Files are read and memory is filled.
    full = measured("full")
    latency = full.combinations[0].latency
    assert latency is not None
    policies = {name: name for name in POLICIES if name != f"exit:{len(manifest.exits)}"}
    policies |= {name: f"deadline:{getattr(latency, quantile):.2f}ms" for name, quantile in DEADLINES.items()}
    figures: dict[str, Any] = {}
    for name, policy in policies.items():
        refused: dict[str, str] = {}
        for rule, decide in rules.items():
            try:
                Grader.load(model, "cpu", policy=policy, decide=decide, check=False)
            except UsageError as error:
                refused[rule] = str(error)
        allowed = {rule: decide for rule, decide in rules.items() if rule not in refused}
        figures[name] = {"asked": policy, "refused": refused}
        if not allowed:
            continue
        found = measured(policy, *allowed.values())
        correct = np.array([bool(each.correct) for each in found.predictions])
        newly = {
            each.group for each, last in zip(found.predictions, full.predictions, strict=True)
            if last.correct and not each.correct
        }  # fmt: skip
        figures[name] |= {
            "rules": {rule: _figures(one) for rule, one in zip(allowed, found.combinations, strict=True)},
            "correct": as_text(correct),
            "newly_wrong": len(newly),
        }
    assert manifest.calibration is not None
    return {
        "images": {each.path: each.group for each in full.predictions},
        "groups": len({each.group for each in full.predictions}),
        "calibration_groups": manifest.calibration.groups,
        "full_ms": asdict(latency),
        "policies": figures,
    }


def price_list(classes: Sequence[str], sound: str) -> str:
    """Return a price list as CSV: what each answer costs a packing house whose sound fruit are of one class."""
    if sound not in classes:
        raise click.UsageError(f"no class is called {sound}, only {', '.join(classes)}; name the sound one: --sound")

    def price(true: str, answer: str) -> float:
        if true == answer:
            return 0.0
        return MISSED if answer == sound else WASTED if true == sound else CONFUSED

    rows = [[true, *(str(price(true, answer)) for answer in classes), str(REVIEWED)] for true in classes]
    return "".join(",".join(row) + "\n" for row in [["true", *classes, "review"], *rows])


def _figures(one: CombinationMetrics) -> dict[str, Any]:
    latency = one.latency
    return {
        "accuracy": one.answers.accuracy.value,
        "loss": one.loss.value,
        "macs": one.macs.value,
        "work": one.work.value,
        "p50_ms": latency and latency.p50,
        "p99_ms": latency and latency.p99,
        "review": None if one.review is None else one.review.value,
        "kept_accuracy": None if one.kept_accuracy is None else one.kept_accuracy.value,
        "cost_per_1000": None if one.cost is None else one.cost.value,
        "late": one.late,
        "shares": one.shares,
    }


def summarise(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return a row for each policy and rule: mean and standard deviation over folds, and the pooled loss."""
    folds = list(found.values())
    names = dict.fromkeys(name for fold in folds for name in fold["policies"])
    return [row for name in names for rule in RULES if (row := _row(name, rule, folds)) is not None]


def _row(name: str, rule: str, folds: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    known = [fold for fold in folds if rule in fold["policies"].get(name, {}).get("rules", {})]
    if not known:
        return None
    cells = [fold["policies"][name]["rules"][rule] for fold in known]
    figures = {key: _mean_sd([cell[key] for cell in cells]) for key in cells[0] if key != "shares"}
    row = {"policy": name, "decide": rule, "folds": len(known), **figures}
    if rule != "argmax":
        return row
    pairs = [(_bits(fold["policies"]["full"]["correct"]), _bits(fold["policies"][name]["correct"])) for fold in known]
    last, own = (np.concatenate(side) for side in zip(*pairs, strict=True))
    groups = [group for fold in known for group in fold["images"].values()]
    newly = [fold["policies"][name]["newly_wrong"] for fold in known]
    return row | {
        "pooled_loss": asdict(paired_difference(last, own, groups, seed=0)),
        "newly_wrong_fruit": newly,
        "newly_wrong_share": [count / fold["groups"] for count, fold in zip(newly, known, strict=True)],
        "loss_by_fold": [cell["loss"] for cell in cells],
    }


def _bits(text: str) -> "np.ndarray[Any, np.dtype[np.int64]]":
    return np.array([int(letter) for letter in text])


def _mean_sd(values: Sequence[float | None]) -> dict[str, float | None]:
    known = [value for value in values if value is not None]
    if not known:
        return {"mean": None, "sd": None}
    return {"mean": float(np.mean(known)), "sd": float(np.std(known, ddof=1)) if len(known) > 1 else None}


def draw(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Draw accuracy over work for every policy, and accuracy of what nobody looks at over reviews for every rule."""
    figure = Figure(figsize=(11, 4.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    marks = ("o", "s", "^", "D", "v", "P", "X", "*", "<", ">")
    for place, row in enumerate(row for row in rows if row["decide"] == "argmax"):
        left.errorbar(
            row["work"]["mean"], row["accuracy"]["mean"], row["accuracy"]["sd"] or 0.0, fmt=marks[place % len(marks)],
            color=f"C{place}", capsize=2, elinewidth=0.8, label=row["policy"],
        )  # fmt: skip
    for place, rule in enumerate(rule for rule in RULES if rule != "argmax"):
        points = [row for row in rows if row["decide"] == rule and row["kept_accuracy"]["mean"] is not None]
        x, y = ([row[key]["mean"] for row in points] for key in ("review", "kept_accuracy"))
        right.plot(x, y, marks[place], color=f"C{place}", label=f"{rule}, a mark a policy")
    left.set(xlabel="work, share of the last exit's multiply-adds", ylabel="test accuracy, mean ± sd over folds")
    right.set(xlabel="share for review", ylabel="accuracy of the other images")
    for axis in (left, right):
        axis.xaxis.set_major_formatter(percent())
        axis.yaxis.set_major_formatter(percent())
        axis.grid(alpha=0.3)
        axis.legend(fontsize=7, loc="lower right")
    save_plot(figure, path, dpi=110)


@click.command()
@fold_options
@measurement_options("policies", minutes=45, jobs=1)
@click.option("--preset", default="quick", show_default=True)
@click.option("--max-params", default=350_000, show_default=True)
@click.option("--sound", default="Healthy", show_default=True, help="Class of sound fruit, for the prices.")
@click.option("--set", "settings", multiple=True, help="Settings of the searches.")
@click.option("--work", default="runs/policies", show_default=True, help="Where the folds are kept.")
def main(minutes: float, jobs: int, resume: bool, out: Path, **options: Any) -> None:
    """Measure every fold, write JSON, CSV and a plot, and print a short table."""
    place = Place(**options)
    setup = {key: value for key, value in asdict(place).items() if key != "work"}
    setup |= {"method": "random", "seed": 0, "policies": POLICIES, "rules": RULES, "deadlines": DEADLINES}
    setup["prices"] = {"missed": MISSED, "wasted": WASTED, "confused": CONFUSED, "reviewed": REVIEWED}
    ledger = Ledger("policies", out, setup, summarise)
    ledger.open(resume)
    folds = [Measurement(f"fold {fold}", partial(measure, fold, place)) for fold in range(1, place.folds + 1)]
    measure_all(ledger, folds, minutes, jobs)
    rows = ledger.save()
    if rows:
        draw(rows, out.with_suffix(".png"))
    for row in rows:
        figures = "  ".join(f"{key} {_shown(row[key])}" for key in ("accuracy", "work", "review", "kept_accuracy"))
        print(f"{row['policy']:<44}{row['decide']:<22}{figures}  p50 {row['p50_ms']['mean']:.2f} ms")


def _shown(found: Mapping[str, float | None]) -> str:
    mean = found["mean"]
    return "–" if mean is None else f"{100 * mean:.1f} ± {100 * (found['sd'] or 0):.1f} %"


if __name__ == "__main__":
    main()
