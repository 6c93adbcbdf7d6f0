"""What an evaluation prints: exit policies side by side, for each decision rule."""

from collections.abc import Callable, Sequence

from rich.table import Table

from mango_grader.cli.console import open_console
from mango_grader.cli.summary import percent
from mango_grader.text import counted, one_line
from mango_grader.training.bootstrap import Difference, Estimate
from mango_grader.training.combinations import CombinationMetrics
from mango_grader.workflow.evaluate import Evaluation

Column = tuple[str, Callable[[CombinationMetrics], str | None]]

_ANSWERS: tuple[Column, ...] = (
    ("accuracy %", lambda one: percent(one.answers.accuracy)),
    ("to full", lambda one: _points(one.loss)),
    ("balanced", lambda one: _share(one.answers.balanced_accuracy)),
    ("kappa", lambda one: _number(one.answers.kappa, 3)),
    ("extremes", lambda one: _share(one.answers.extreme_confusion)),
    ("calib.", lambda one: _share(one.answers.calibration_error)),
    ("review", lambda one: _share(one.review)),
    ("kept", lambda one: _share(one.kept_accuracy)),
    ("cost/1000", lambda one: _number(one.cost, 2)),
)
_COSTS: tuple[Column, ...] = (
    ("stop at each exit %", lambda one: " ".join(f"{100 * share:.0f}" for share in one.shares)),
    ("work", lambda one: f"{one.macs.value / 1e6:.2f}"),
    ("% of full", lambda one: f"{100 * one.work.value:.0f}"),
    ("p50 ms", lambda one: None if one.latency is None else f"{one.latency.p50:.2f}"),
    ("p99 ms", lambda one: None if one.latency is None else f"{one.latency.p99:.2f}"),
    ("late %", lambda one: None if one.late is None else f"{100 * one.late:.1f}"),
)
_MEANING = {
    "to full": "points of accuracy less or more than the last exit's",
    "extremes": "% of the first and the last grade that got the other one",
    "calib.": "calibration error in %",
    "review": "% of the images that a person should look at",
    "kept": "accuracy of the others in %",
    "work": "million multiply-adds per image",
    "p50 ms": "from the start of decoding to the answer, one image at a time, on this host",
    "late %": "answers after the deadline",
    "cost/1000": "what 1,000 fruit cost",
}


def print_combinations(evaluation: Evaluation) -> None:
    """Print the figures of every exit policy, rule by rule, what was refused, and the anytime curve's area."""
    console = open_console()
    answers = evaluation.combinations[0].answers
    intervals = "95 % intervals" if answers.accuracy.low is not None else "no intervals"
    console.print(f"{counted(answers.count, 'image')} in {counted(answers.groups, 'group')}, {intervals}")
    shown: dict[str, None] = {}
    rules = {one.decide: f"answers by {one.decide}" for one in evaluation.combinations}
    tables = [
        (title, _ANSWERS, [one for one in evaluation.combinations if one.decide == decide])
        for decide, title in rules.items()
    ]
    once = {one.policy: one for one in reversed(evaluation.combinations)}
    for title, columns, rows in [*tables, ("what they cost", _COSTS, list(once.values())[::-1])]:
        table, names = _table(title, columns, rows)
        shown |= dict.fromkeys(names)
        console.print(table)
        console.print()
    console.print("; ".join(f"{name}: {text}" for name, text in _MEANING.items() if name in shown))
    if evaluation.priced_by is not None:
        console.print(f"priced by {one_line(evaluation.priced_by)}")
    curve = evaluation.anytime
    console.print(f"mean accuracy over all work between exit 1 and the last: {100 * curve.area:.1f} %")
    for one in evaluation.refused:
        console.print(f"not measured: {one_line(one.name)}: {one_line(one.reason)}")


def _table(title: str, columns: Sequence[Column], rows: Sequence[CombinationMetrics]) -> tuple[Table, list[str]]:
    """Return a table of those columns that have a value in any row, and their names."""
    found = [(name, [value(one) for one in rows]) for name, value in columns]
    filled = [(name, values) for name, values in found if any(value is not None for value in values)]
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(one_line(title), overflow="fold", min_width=12)
    for name, _ in filled:
        table.add_column(name, justify="right", no_wrap=True)
    for row, one in enumerate(rows):
        table.add_row(one_line(one.policy), *(values[row] or "–" for _, values in filled))
    return table, [name for name, _ in filled]


def _share(found: Estimate | None) -> str | None:
    return None if found is None else f"{100 * found.value:.1f}"


def _number(found: Estimate | None, digits: int) -> str | None:
    return None if found is None else f"{found.value:.{digits}f}"


def _points(loss: Difference) -> str:
    return f"{-100 * loss.value:+.1f}".replace("-", "−") if loss.value else "0.0"
