"""What a run or an evaluation prints at its end: one small table."""

from rich.console import Console
from rich.table import Table

from mango_grader.files import read_json
from mango_grader.report import Against, Spread
from mango_grader.training.bootstrap import Estimate
from mango_grader.workflow.comparison import ComparisonFolder
from mango_grader.workflow.folder import RunFolder
from mango_grader.workflow.measure import Measured


def print_measured(measured: Measured) -> None:
    """Print exits and policies with their accuracy and cost."""
    last = measured.exits[-1]
    table = Table(title=f"{last.count} pictures in {last.groups} groups, 95 % intervals", title_justify="left")
    table.add_column("")
    for name in ("accuracy %", "balanced %", "M MACs", "M params"):
        table.add_column(name, justify="right", no_wrap=True)
    for each in measured.exits:
        table.add_row(
            f"exit {each.exit}",
            _percent(each.accuracy),
            _percent(each.balanced_accuracy),
            f"{each.macs / 1e6:.1f}",
            f"{each.params / 1e6:.3f}",
        )
    for policy in measured.policies:
        if policy.name != "full":
            table.add_row(policy.name, _percent(policy.accuracy), "", f"{policy.macs.value / 1e6:.1f}", "")
    Console().print(table)


def print_run(folder: RunFolder) -> None:
    """Print the test figures of a finished run and where its report and model are."""
    print_measured(Measured.from_dict(read_json(folder.metrics)["test"]))
    console = Console(soft_wrap=True)
    console.print(f"report  {folder.report}", highlight=False, markup=False)
    console.print(f"model   {folder.model}", highlight=False, markup=False)


def print_comparison(folder: ComparisonFolder) -> None:
    """Print where entries stand, what failed, and where the page is."""
    table = Table(title=f"{folder.comparison.seeds} runs each, 95 % intervals", title_justify="left")
    table.add_column("")
    for name in ("runs", "validation %", "test %", "M MACs", "M params", "min", "to best", "to random", "p"):
        table.add_column(name, justify="right", no_wrap=True)
    for each in folder.standings:
        last = each.exits[-1]
        table.add_row(
            each.name,
            str(each.runs),
            _spread(last.validation),
            _percent(each.pooled),
            f"{last.macs.mean / 1e6:.1f}",
            f"{last.params.mean / 1e6:.3f}",
            "–" if each.whole_s is None else f"{each.whole_s.mean / 60:.1f}",
            _points(each.to_best),
            _points(each.to_random),
            "–"
            if each.to_random is None or each.to_random.difference.p is None
            else f"{each.to_random.difference.p:.3f}",
        )
    console = Console(soft_wrap=True)
    console.print(table)
    for run, reason in folder.failures.items():
        console.print(f"failed  {run}: {reason}", highlight=False, markup=False)
    console.print(f"report  {folder.report}", highlight=False, markup=False)


def _spread(share: Spread) -> str:
    return f"{100 * share.mean:.1f}" + ("" if share.sd is None else f" ± {100 * share.sd:.1f}")


def _points(against: Against | None) -> str:
    return "–" if against is None else f"{100 * against.difference.value:+.1f}"


def _percent(estimate: Estimate) -> str:
    if estimate.low is None or estimate.high is None:
        return f"{100 * estimate.value:.1f}"
    return f"{100 * estimate.value:.1f} ({100 * estimate.low:.1f}–{100 * estimate.high:.1f})"
