"""What a run, an evaluation or a comparison prints when it is done."""

from collections.abc import Sequence

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

from mango_grader.automl.movement import Movement
from mango_grader.cli.console import open_console
from mango_grader.files import read_json
from mango_grader.report.comparison import comparison_warnings
from mango_grader.runtime.bundle.archive import Bundle
from mango_grader.runtime.exits import explain_default
from mango_grader.text import counted, one_line
from mango_grader.training.bootstrap import Estimate
from mango_grader.training.ranking import MeanSd, PairedDifference
from mango_grader.workflow.comparison import ComparisonFolder, SweepFolder
from mango_grader.workflow.evaluate import Answered
from mango_grader.workflow.run.folder import RunFolder
from mango_grader.workflow.run.measure import Measured

UNITS = "work: million multiply-adds per image; size: million parameters"


def print_measured(measured: Measured) -> None:
    """Print exits and policies with their accuracy and cost."""
    last = measured.exits[-1]
    table = _table("", "accuracy %", "balanced %", "work", "size")
    for each in measured.exits:
        table.add_row(
            f"exit {each.exit}",
            percent(each.accuracy),
            percent(each.balanced_accuracy),
            f"{each.macs / 1e6:.1f}",
            f"{each.params / 1e6:.3f}",
        )
    for policy in measured.policies:
        if policy.name != "full":
            table.add_row(policy.name, percent(policy.accuracy), "", f"{policy.macs.value / 1e6:.1f}", "")
    console = open_console()
    console.print(f"{counted(last.count, 'image')} in {counted(last.groups, 'group')}, 95 % intervals")
    console.print(table)
    console.print(UNITS)


def print_confusion(answered: Answered, classes: Sequence[str]) -> None:
    """Print how often each class was taken for which, and its recall.

    Args:
        answered: by an exit policy; its confusion is what is printed.
        classes: names, in the model's order.
    """
    console = open_console()
    table = _confusion(answered, [one_line(name) for name in classes], classes=classes)
    if not _fits(console, table):  # too many classes for this terminal: number the columns, and let it wrap lines
        numbers = [str(number) for number in range(1, len(classes) + 1)]
        table = _confusion(answered, numbers, classes=[f"{n} {name}" for n, name in zip(numbers, classes, strict=True)])
        console = open_console(wide=True)
    console.print(f"\nanswers by policy {answered.policy}: true class by row, answer by column")
    console.print(table)


def _confusion(answered: Answered, columns: Sequence[str], classes: Sequence[str]) -> Table:
    table = _table("", *columns, "recall %")
    for name, counts, recall in zip(classes, answered.confusion, answered.recalls, strict=True):
        table.add_row(one_line(name), *map(str, counts), "–" if recall is None else percent(recall))
    return table


def _fits(console: Console, table: Table) -> bool:
    wide = open_console(wide=True)
    return Measurement.get(wide, wide.options, table).maximum <= console.width


def print_warnings(warnings: Sequence[str]) -> None:
    """Print warnings, one line each."""
    console = open_console()
    for line in warnings:
        console.print(f"warning: {one_line(line)}")


def print_run(folder: RunFolder) -> bool:
    """Print a run's test metrics, warnings, report and model; return whether the model is better than guessing."""
    measured = Measured.from_dict(read_json(folder.metrics)["test"])
    print_measured(measured)
    manifest = Bundle.open(folder.model).manifest
    default = explain_default(manifest.default_policy, len(manifest.exits), manifest.calibration)
    open_console().print(f"default exit policy: {one_line(default)}")
    if folder.movement.exists() and (moved := Movement.from_dict(read_json(folder.movement)).sentences):
        open_console().print(f"search: {'; '.join(moved)}")
    print_warnings(folder.read_warnings())
    _print_places(open_console(), report=folder.report, model=folder.model)
    return measured.guessing.verdict != "guessing"


def print_comparison(folder: ComparisonFolder) -> None:
    """Print the ranking of a comparison, its differences and warnings, and where its report is."""
    page = folder.page
    console = open_console()
    console.print(f"{counted(folder.comparison.seeds, 'run')} each, 95 % intervals")
    ranking = _table("", "runs", "validation %", "test %", "work", "size", "min")
    differences = _table("points of test accuracy", "to best", "to random", "p")
    for each in page.ranking:
        last = each.exits[-1]
        ranking.add_row(
            each.name,
            str(each.runs),
            _mean_sd(last.validation),
            percent(each.pooled),
            f"{last.macs.mean / 1e6:.1f}",
            f"{last.params.mean / 1e6:.3f}",
            "–" if each.whole_s is None else f"{each.whole_s.mean / 60:.1f}",
        )
        differences.add_row(each.name, _points(each.to_best), _points(each.to_random), _p_value(each.to_random))
    console.print(ranking)
    console.print(f"{UNITS}; min: minutes of a run\n")
    console.print(differences)
    console.print("p: probability of such a difference to random by the choice of test images alone")
    print_warnings(comparison_warnings(page))
    _print_places(console, report=folder.report)


def print_sweep(folder: SweepFolder) -> None:
    """Print the accuracy of each entry in each comparison of a sweep, its warnings, and where its report is."""
    page = folder.page
    console = open_console()
    table = _table("test %, 95 % intervals", "place", *(one_line(name) for name in page.cells))
    for entry in page.entries:
        found = [page.of(entry, cell) for cell in page.cells]
        shown = ["–" if each is None else percent(each.pooled) for each in found]
        table.add_row(entry, f"{page.mean_rank(entry):.1f}", *shown)
    console.print(table)
    console.print("place: by validation accuracy, in the mean of the comparisons")
    print_warnings(page.warnings)
    _print_places(console, report=folder.report)


def _table(first: str, *others: str) -> Table:
    """Return an empty table of a name and figures; names fold where a terminal is narrow, figures never."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(first, overflow="fold", min_width=12)
    for name in others:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _print_places(console: Console, **places: object) -> None:
    for name, path in places.items():
        console.print(f"{name:6}  {path}")


def _mean_sd(share: MeanSd) -> str:
    return f"{100 * share.mean:.1f}" + ("" if share.sd is None else f" ± {100 * share.sd:.1f}")


def _points(found: PairedDifference | None) -> str:
    return "–" if found is None else f"{100 * found.difference.value:+.1f}"


def _p_value(found: PairedDifference | None) -> str:
    return "–" if found is None or found.difference.p is None else f"{found.difference.p:.3f}"


def percent(estimate: Estimate) -> str:
    """Return a share in percent with its interval: 41.7 (20.8–62.5)."""
    if estimate.low is None or estimate.high is None:
        return f"{100 * estimate.value:.1f}"
    return f"{100 * estimate.value:.1f} ({100 * estimate.low:.1f}–{100 * estimate.high:.1f})"
