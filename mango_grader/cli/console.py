"""What commands print: text as it stands, and grading results as a table of the first rows and a summary."""

import itertools
from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from mango_grader.runtime.inference.records import Record, Summary
from mango_grader.text import one_line

ROWS, WARNINGS = 40, 5
_NATURAL = 100_000  # columns: wider than any table of ours


def open_console(*, wide: bool = False) -> Console:
    """Return a console that prints text as it stands.

    Tables fit a terminal's width. In a pipe or a file, which has none, they are as wide as what they hold: nothing is
    folded or cut; `wide` asks for the same on a terminal, which then wraps the lines itself.
    """
    console = Console(highlight=False, markup=False, emoji=False, soft_wrap=True)
    if wide or not console.is_terminal:
        console.width = _NATURAL
    return console


def print_table(records: Iterable[Record], summary: Summary, review_below: float | None = None) -> None:
    """Print the first `ROWS` records and the summary to standard output.

    Args:
        records: what became of each image, in order.
        summary: counts over all of them.
        review_below: confidence, 0..1, below which a grade is marked for review; None marks none.
    """
    console = open_console()
    table = Table("image", "grade", "confidence", "exit", "ms", box=None, pad_edge=False)
    for column in table.columns[2:]:
        column.justify = "right"
    table.columns[0].overflow = table.columns[1].overflow = "fold"
    shown = list(itertools.islice(records, ROWS))
    for record in shown:
        table.add_row(*_values(record, review_below))
    console.print(table)
    if summary.images > ROWS:
        console.print(f"… and {summary.images - ROWS} more; --out FILE keeps them all")
    _print_warnings(console, [record for record in shown if record.warning is not None])
    console.print()
    console.print(one_line(str(summary)))
    graded = summary.images - summary.errors
    if graded:
        exits = ", ".join(f"{number}: {count / graded:.0%}" for number, count in sorted(summary.exits.items()))
        per_image = (
            f"{summary.decode_ms / summary.images:.1f} ms decoding, {summary.infer_ms / graded:.2f} ms inference"
        )
        late = f"; late {summary.late / summary.images:.1%}" if summary.late else ""
        console.print(f"exits {exits}; per image {per_image}{late}")


def _print_warnings(console: Console, records: Sequence[Record]) -> None:
    if records:
        console.print()
    for record in records[:WARNINGS]:
        console.print(Text(one_line(f"{record.path}: {record.warning}"), style="yellow"))
    if len(records) > WARNINGS:
        console.print(f"… and {len(records) - WARNINGS} more warnings; --out FILE keeps them all")


def _values(record: Record, review_below: float | None) -> list[Text]:
    name = Text(one_line(record.path))
    if record.grade is None or record.confidence is None:
        return [name, Text(one_line(record.error or ""), style="red"), Text(), Text(), Text(f"{record.decode_ms:.1f}")]
    doubtful = record.to_review(review_below)
    return [
        name,
        Text(one_line(record.grade)),
        Text(f"{record.confidence:.1%}{' ?' if doubtful else ''}", style="yellow" if doubtful else ""),
        Text(str(record.exit)),
        Text(f"{record.decode_ms + record.infer_ms:.1f}"),
    ]
